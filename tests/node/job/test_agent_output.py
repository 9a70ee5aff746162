"""Output: every byte, in order, no further ahead than the window, in constant memory; and the end only after it."""

import hashlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from tests.node.agent_client import AgentClient

WINDOW = 1 << 20
PRODUCE = """
import hashlib, os, sys
digest = hashlib.sha256()
for i in range(int(sys.argv[1])):
    chunk = hashlib.sha256(b"%d" % i).digest() * 2048
    digest.update(chunk)
    os.write(1, chunk)
os.write(2, digest.hexdigest().encode())
"""
PIECE_BYTES = 64 << 10


def producer(pieces: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", PRODUCE, str(pieces)]


def test_20_mb_of_binary_output_arrive_exactly(client: AgentClient) -> None:
    ran = client.run(argv=producer(320), window=WINDOW)
    assert len(ran["stdout"]) == 320 * PIECE_BYTES
    assert hashlib.sha256(ran["stdout"]).hexdigest().encode() == ran["stderr"]


def test_output_without_a_newline_and_invalid_utf8_arrive_exactly(client: AgentClient) -> None:
    ran = client.run(argv=["printf", r"\377\376\000 no newline"])
    assert ran["stdout"] == b"\xff\xfe\0 no newline"


def test_the_agent_is_never_further_ahead_than_the_window(client: AgentClient) -> None:
    client.acks = False
    job = client.begin(argv=producer(48), window=WINDOW)
    stdout = client.output.setdefault((job, "stdout"), bytearray())
    client.until("started", job)
    while len(stdout) < WINDOW or (job, "stderr") not in client.output:  # the digest: the job has written it all
        client.until("output", job)
    assert client.line(0.3) is None
    assert len(stdout) == WINDOW
    client.ask("ack", job, stream="stdout", offset=10)
    client.until("output")
    assert client.line(0.3) is None
    assert len(stdout) == WINDOW + 10


def test_the_end_waits_for_a_slow_reader(client: AgentClient) -> None:
    client.acks = False
    job = client.begin(argv=["printf", "0123456789"], window=4)
    stdout = client.output.setdefault((job, "stdout"), bytearray())
    seen: list[str] = []
    for offset in (4, 8):
        while len(stdout) < offset or "started" not in seen:  # that it has started may be told after its first output
            seen.append(client.event()["ev"])
        assert client.line(0.1) is None
        client.ask("ack", job, stream="stdout", offset=offset)
    parts: list[str] = []
    while not parts or parts[-1] != "ended":
        parts.append(client.event()["ev"])
    assert parts == ["output", "ended"]
    assert client.output[job, "stdout"] == b"0123456789"


def test_output_shows_while_the_job_runs(client: AgentClient) -> None:
    job = client.begin(argv=["sh", "-c", "echo now; read never < /dev/tty; sleep 600"])
    client.until("output", job)
    assert client.output[job, "stdout"] == b"now\n"


def test_both_streams_are_told_apart(client: AgentClient) -> None:
    ran = client.run(argv=["sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; done"])
    assert (ran["stdout"], ran["stderr"]) == (b"out1\nout2\nout3\n", b"err1\nerr2\nerr3\n")


def test_the_end_is_told_to_who_follows_even_late(client: AgentClient) -> None:
    job = client.admit()
    client.ask("start", job, spec={"argv": ["echo", "x"]})
    client.until("started", job)
    assert client.line(0.2) is None
    client.ask("follow", job, window=WINDOW)
    assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 0}
    assert client.output[job, "stdout"] == b"x\n"


@pytest.mark.parametrize("offset", [-1, 3, 1 << 70])
def test_acknowledging_what_was_not_sent_is_an_error(client: AgentClient, offset: int) -> None:
    client.acks = False
    job = client.begin(argv=["sh", "-c", "printf 12; sleep 600"])
    client.until("output", job)
    client.ask("ack", job, stream="stdout", offset=offset)
    while (event := client.event())["ev"] == "admitted":  # which its supervisor tells, perhaps after the output
        pass
    assert event["ev"] == "error"


def test_100_mb_stream_through_in_constant_memory(client: AgentClient) -> None:
    client.until("hello")
    agent = psutil.Process(client.process.pid)
    job = client.begin(argv=producer(1600), window=WINDOW)
    client.until("started", job)
    resting = agent.memory_info().rss
    worst = 0
    while (event := client.event())["ev"] == "output":
        if event["offset"] % (50 * 48 << 10) == 0:
            worst = max(worst, agent.memory_info().rss)
    assert event["ev"] == "ended"
    stdout = client.output[job, "stdout"]
    assert len(stdout) == 1600 * PIECE_BYTES
    assert hashlib.sha256(stdout).hexdigest().encode() == bytes(client.output[job, "stderr"])
    assert 0 < worst - resting < 8 << 20


def test_many_jobs_of_one_agent_do_not_mix(client: AgentClient) -> None:
    jobs = {client.begin(argv=["sh", "-c", f"echo {n}; echo {n} >&2; exit {n}"]): n for n in range(20)}
    left = dict(jobs)
    while left:
        ended = client.until("ended")
        assert ended["end"]["rc"] == left.pop(ended["job"])
    for job, n in jobs.items():
        assert client.output[job, "stdout"] == client.output[job, "stderr"] == b"%d\n" % n


def test_a_fifo_in_place_of_the_output_hangs_nobody(client: AgentClient, tmp_path: Path) -> None:
    swap = 'rm "$CLBALANCE_JOB_DIR/stdout"; mkfifo "$CLBALANCE_JOB_DIR/stdout"'
    job = client.admit()
    client.ask("start", job, spec={"argv": ["sh", "-c", swap]})
    client.until("started", job)
    while not list(tmp_path.glob("*/jobs/*/exit")):
        os.sched_yield()
    client.ask("follow", job, window=WINDOW)
    assert client.event() == {"ev": "error", "why": f"{job}: the rest of stdout: Illegal seek", "job": job}
    assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 0}


def test_a_job_that_removes_its_folder_still_ends(client: AgentClient) -> None:
    ran = client.run(argv=["sh", "-c", 'echo x; rm -r "$CLBALANCE_JOB_DIR"; echo y; exit 4'])
    assert (ran["end"]["rc"], ran["stdout"]) == (4, b"x\ny\n")
