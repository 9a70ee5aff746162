"""A job on a terminal: its keeper, the one who comes for the terminal, and what becomes of the program without him."""

import ast
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from clbalance.engine.agent.job_messages import relay_line
from clbalance.node import relay_source
from tests.node.agent_client import NOTHING, WAIT_S, AgentClient, gone, job_folder, new_job, pids_in
from tests.node.lives import Lives
from tests.node.nodes import Node, locker_of
from tests.waiting import eventually

SIZE = {"rows": 24, "columns": 80}


def start(client: AgentClient, script: str, **spec: object) -> str:
    job = new_job()
    client.ask("claim", job)
    client.ask("admit", job, lease=NOTHING, capacity={"cpus": None, "slots": None})
    client.ask("follow", job, window=1 << 20)
    client.ask("start", job, spec={"argv": ["sh", "-c", script], "tied": True, "pty": SIZE, **spec})
    return job


@contextmanager
def joined(node: Node, job: str) -> Iterator[int]:
    """The job's terminal, as a relay gets it."""
    folder = os.open(job_folder(node.base, job), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(f"/proc/self/fd/{folder}/terminal")
        _, ((_, _, packed),), _, _ = link.recvmsg(1, socket.CMSG_SPACE(4))
        terminal = struct.unpack("i", packed[:4])[0]
        try:
            yield terminal
        finally:
            os.close(terminal)
            os.close(folder)


def heard(terminal: int, wanted: bytes, within_s: float = WAIT_S) -> bytes:
    text, until = b"", time.monotonic() + within_s
    while wanted not in text:
        assert select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0], text
        with suppress(OSError):
            text += os.read(terminal, 4096)
    return text


def test_the_program_has_a_terminal_of_the_size_that_was_asked_for(node: Node) -> None:
    with node.client() as client:
        job = start(client, "tty <&2; stty size; read word; echo got $word; exit 7")
        client.until("started", job)
        with joined(node, job) as terminal:
            assert b"24 80" in heard(terminal, b"24 80")
            os.write(terminal, b"this\n")
            assert b"got this" in heard(terminal, b"got this")
            assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 7}
        assert (job, "stdout") not in client.output
        assert node.leases() == []


def test_signals_to_the_job_reach_the_program_and_leave_its_terminal(node: Node) -> None:
    with node.client() as client:
        job = start(client, "trap 'echo usr1; exit 3' USR1; echo up; while :; do sleep 0.05; done")
        client.until("started", job)
        with joined(node, job) as terminal:
            heard(terminal, b"up")
            client.ask("signal", job, signal=signal.SIGUSR1)
            heard(terminal, b"usr1")
            assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 3}


def test_a_program_that_a_signal_killed_is_told_as_a_shell_tells_it(node: Node) -> None:
    with node.client() as client:
        job = start(client, "kill -9 $$")
        with joined_when_started(client, node, job):
            assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 137}


@contextmanager
def joined_when_started(client: AgentClient, node: Node, job: str) -> Iterator[int]:
    client.until("started", job)
    with joined(node, job) as terminal:
        yield terminal


def test_what_cannot_be_executed_is_refused_as_without_a_terminal(client: AgentClient) -> None:
    assert client.refusal(argv=["/no/such/program"], pty=SIZE) == (
        "exec",
        "/no/such/program: No such file or directory",
        127,
    )
    assert client.refusal(argv=["/etc/passwd"], pty=SIZE) == ("exec", "/etc/passwd: Permission denied", 126)


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ({"rows": 24}, "pty lacks its field 'columns'"),
        ({"rows": -1, "columns": 1}, "pty: 'rows' must be a whole number, 0 or more, not -1"),
        ({"rows": 1, "columns": 70000}, "pty: a terminal has at most 65535 rows and columns"),
    ],
)
def test_a_size_that_no_terminal_has_is_refused(client: AgentClient, size: dict[str, int], reason: str) -> None:
    assert client.refusal(argv=["true"], pty=size)[:2] == ("spec", reason)


def test_nobody_waits_for_ever_for_one_who_comes_for_the_terminal(node: Node) -> None:
    with node.client(CLBALANCE_RESERVE_S="0.5") as client:
        job = start(client, "sleep 600")
        ended = client.until("ended", job)
        assert ended["end"] == {"kind": "exited", "rc": 125}
        assert b"nobody came for the terminal" in client.output[job, "stderr"]


def test_who_leaves_takes_the_terminal_along(node: Node) -> None:
    with node.client() as client:
        job = start(client, "echo up; sleep 600")
        with joined_when_started(client, node, job) as terminal:
            heard(terminal, b"up")
        assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 128 + signal.SIGHUP}


def test_a_program_that_does_not_heed_that_is_ended_a_little_later(node: Node) -> None:
    with node.client() as client:
        job = start(client, f"trap '' HUP; sleep 600 & echo $$ $! > {node.base}/pids; echo up; wait")
        with joined_when_started(client, node, job) as terminal:
            heard(terminal, b"up")
        assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 128 + signal.SIGHUP}
        assert gone(pids_in(node.base / "pids", 2))


def test_the_end_of_the_agent_is_the_end_of_the_program(node: Node) -> None:
    client = node.client()
    job = start(client, f"trap '' HUP TERM; echo $$ > {node.base}/pids; echo up; while :; do sleep 1; done")
    with joined_when_started(client, node, job) as terminal:
        heard(terminal, b"up")
        client.process.kill()
        assert gone(pids_in(node.base / "pids", 1))
    eventually(lambda: not node.leases())
    with suppress(BrokenPipeError), client:
        pass


def test_a_killed_supervisor_leaves_neither_keeper_nor_program(jobs: Lives) -> None:
    client = jobs.agent()
    job = start(client, f"echo $PPID $$ > {jobs.node.base}/pids; echo up; exec sleep 600")
    with joined_when_started(client, jobs.node, job):
        pids = pids_in(jobs.node.base / "pids", 2)
        os.kill(locker_of(jobs.node.lease_of(job)), signal.SIGKILL)
        assert client.until("ended", job)["end"] == {"kind": "killed", "signal": 9}
    assert gone(pids)


def test_the_program_inherits_no_descriptor_of_ours(node: Node) -> None:
    with node.client() as client:
        job = start(client, "ls -l /proc/self/fd; echo that is all")
        with joined_when_started(client, node, job) as terminal:
            message = heard(terminal, b"that is all").decode()
        opened = [line.split(" -> ")[1].strip() for line in message.splitlines() if " -> " in line]
        assert [one for one in opened if not one.startswith(("/dev/pts/", "/proc/"))] == []


def test_the_relay_runs_on_the_oldest_python() -> None:
    ast.parse(relay_source(), feature_version=(3, 6))


def test_its_command_line_is_one_that_every_login_shell_reads_alike() -> None:
    line = relay_line(relay_source(), "0123456789abcdef" * 2 + ".1")
    assert line.startswith("exec python3 -I -S -c '")
    assert line.count("'") == 2
    assert not set("!\\$`\n%") & set(line)
    assert len(line) < 4096
