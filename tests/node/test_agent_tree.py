"""However a job ends, nothing of its process tree is left, and its end is on disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from clbalance.node.agent.job.life import Life
from clbalance.node.agent.job.outcome import Usage
from clbalance.node.agent.tree import below, carrying, read_processes
from tests.waiting import SOON_S

from .agent_client import WAIT_S, AgentClient, exit_record, gone, job_folder, new_job, pids_in, plain, without_prctl

# A shell, a job in its background, a session of its own, and a double-forked orphan. `%s`: what they do about TERM.
FAMILY = """#!/bin/sh
%s
echo $$ >> pids
sh -c 'echo $$ >> pids; exec sleep 600' &
setsid sh -c 'echo $$ >> pids; sleep 600; :' &
( setsid sh -c 'sh -c "echo \\$\\$ >> pids; sleep 600; :" & exit 0' & )
%s
"""
MEMBERS = 4
DEAF = "trap '' TERM"


def family(before: str = "", after: str = "wait") -> bytes:
    return (FAMILY % (before, after)).encode()


def begin_family(client: AgentClient, folder: Path, script: bytes, **spec: Any) -> tuple[str, list[int], int]:
    """The job, the pids of all its members, and its supervisor's pid."""
    job = client.begin(script=script, chdir=str(folder), **spec)
    started = client.until("started", job)
    return job, pids_in(folder / "pids", MEMBERS), psutil.Process(started["pid"]).ppid()


@pytest.mark.parametrize("before", ["", DEAF], ids=["heeding TERM", "ignoring TERM"])
def test_an_ended_job_leaves_nothing(client: AgentClient, tmp_path: Path, before: str) -> None:
    job, pids, supervisor = begin_family(client, tmp_path, family(before))
    client.ask("end", job, grace_s=0.1, why="told to")
    ended = client.until("ended", job)
    assert ended["end"] == {"kind": "cancelled", "why": "told to"}
    assert gone([*pids, supervisor])
    assert exit_record(tmp_path, job)["end"] == ended["end"]


@pytest.mark.parametrize("before", ["", DEAF], ids=["heeding TERM", "ignoring TERM"])
def test_a_job_past_its_time_limit_leaves_nothing(client: AgentClient, tmp_path: Path, before: str) -> None:
    job, pids, supervisor = begin_family(client, tmp_path, family(before), time_limit_s=0.4, grace_s=0.1)
    assert client.until("ended", job)["end"] == {"kind": "timeout"}
    assert gone([*pids, supervisor])


@pytest.mark.parametrize("before", ["", DEAF], ids=["heeding TERM", "ignoring TERM"])
def test_a_job_that_has_ended_takes_its_background_with_it(client: AgentClient, tmp_path: Path, before: str) -> None:
    job, pids, supervisor = begin_family(
        client, tmp_path, family(before, "while [ ! -e go ]; do sleep 0.05; done; exit 7")
    )
    (tmp_path / "go").touch()
    ended = client.until("ended", job)
    assert ended["end"] == {"kind": "exited", "rc": 7}
    assert gone([*pids, supervisor])


def close_input(agent: "subprocess.Popen[bytes]") -> None:
    assert agent.stdin is not None
    agent.stdin.close()


@pytest.mark.parametrize("go", [close_input, subprocess.Popen.kill, subprocess.Popen.terminate])
@pytest.mark.parametrize("before", ["", DEAF], ids=["heeding TERM", "ignoring TERM"])
def test_a_tied_job_ends_when_its_agent_goes(
    tmp_path: Path, before: str, go: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    with AgentClient(tmp_path) as client:
        job, pids, supervisor = begin_family(client, tmp_path, family(before))
        go(client.process)
        assert gone([*pids, supervisor, client.process.pid])
    assert exit_record(tmp_path, job)["end"] == {"kind": "cancelled", "why": "the connection to the node ended"}


def test_the_other_jobs_of_an_agent_that_goes_end_too(tmp_path: Path) -> None:
    with AgentClient(tmp_path) as client:
        for _ in range(3):
            client.begin(argv=["sleep", "600"])
        pids = [client.until("started")["pid"] for _ in range(3)]
        client.process.kill()
        assert gone(pids)


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 3, 5, 8, 13, 21])
def test_whenever_the_agent_is_killed_nothing_runs_on(tmp_path: Path, delay_ms: int) -> None:
    with AgentClient(tmp_path) as client:
        client.until("hello")
        jobs = [client.begin(script=family(), chdir=str(tmp_path)) for _ in range(3)]
        time.sleep(delay_ms / 1000)
        client.process.kill()
        client.process.wait()
    until = time.monotonic() + WAIT_S
    while left := {pid for job in jobs for pid in carrying(job.encode(), read_processes())}:
        assert time.monotonic() < until, left


def test_a_killed_supervisor_takes_the_job_with_it(client: AgentClient, tmp_path: Path) -> None:
    job, pids, supervisor = begin_family(client, tmp_path, family(DEAF))
    psutil.Process(supervisor).kill()
    ended = client.until("ended", job)
    assert ended["end"] == {"kind": "killed", "signal": 9}
    assert ended["warnings"] == ["the job's supervisor died, which killed the job"]
    assert gone(pids)
    assert exit_record(tmp_path, job)["end"] == ended["end"]


def test_a_terminated_supervisor_ends_its_job_in_order(client: AgentClient, tmp_path: Path) -> None:
    job, pids, supervisor = begin_family(client, tmp_path, family())
    psutil.Process(supervisor).terminate()
    assert client.until("ended", job)["end"] == {
        "kind": "cancelled",
        "why": "the job's supervisor received a signal to stop",
    }
    assert gone(pids)


def test_without_prctl_the_session_and_the_launch_key_find_the_tree(tmp_path: Path) -> None:
    with AgentClient(tmp_path, command=without_prctl()) as client:
        job, pids, supervisor = begin_family(client, tmp_path, family(DEAF))
        client.ask("end", job, grace_s=0.1, why="told to")
        assert client.until("ended", job)["end"]["kind"] == "cancelled"
        assert gone([*pids, supervisor])
        assert client.run(argv=["true"])["end"]["rc"] == 0


def test_a_job_that_forks_without_end_is_ended(client: AgentClient, tmp_path: Path) -> None:
    # Each process is replaced by another and dies: whoever looks for them one after the other is always late.
    (tmp_path / "hare.py").write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(2):\n"
        "    if os.fork() == 0: break\n"
        "while True:\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
    )
    argv = ["sh", "-c", f"{sys.executable} -I -S hare.py; sleep 600"]
    job = client.begin(argv=argv, chdir=str(tmp_path))
    supervisor = psutil.Process(client.until("started", job)["pid"]).ppid()
    time.sleep(0.2)
    client.ask("end", job, grace_s=0, why="told to")
    ended = client.until("ended", job)
    assert ended["warnings"] == []
    assert gone([supervisor])


def test_a_process_whose_first_thread_has_gone_still_lives() -> None:
    lone = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); "
    process = subprocess.Popen([sys.executable, "-I", "-c", lone + "ctypes.CDLL(None).pthread_exit(None)"])
    try:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert process.pid in read_processes()
        process.kill()
        while psutil.Process(process.pid).num_threads() > 1:
            time.sleep(0.01)
        assert process.pid not in read_processes()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("limit_s", [0.05, 9e8])
def test_any_time_limit_will_do(client: AgentClient, limit_s: float) -> None:
    kind = client.run(argv=["sleep", "600" if limit_s < 1 else "0.2"], time_limit_s=limit_s)["end"]["kind"]
    assert kind == ("timeout" if limit_s < 1 else "exited")


def test_the_grace_lets_a_job_tidy_up(client: AgentClient, tmp_path: Path) -> None:
    script = b"trap 'echo tidy; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    job = client.begin(script=script)
    client.until("output", job)
    client.ask("end", job, grace_s=100, why="told to")
    assert client.until("ended", job)["end"]["kind"] == "cancelled"
    assert client.output[job, "stdout"] == b"ready\ntidy\n"


def test_a_stopped_job_can_be_ended(client: AgentClient) -> None:
    job = client.begin(argv=["sh", "-c", "trap 'exit 0' TERM; kill -STOP $$; sleep 600"])
    pid = client.until("started", job)["pid"]
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    client.ask("end", job, grace_s=100, why="told to")
    assert client.until("ended", job)["seconds"] < SOON_S


def test_told_twice_the_shorter_grace_counts(client: AgentClient) -> None:
    job = client.begin(script=b"trap '' TERM; echo ready; while :; do sleep 600; done")
    client.until("output", job)
    client.ask("end", job, grace_s=600, why="first")
    client.ask("end", job, grace_s=0, why="second")
    ended = client.until("ended", job)
    assert ended["end"] == {"kind": "cancelled", "why": "first"}
    assert ended["seconds"] < SOON_S


def test_a_signal_reaches_the_whole_tree_once(client: AgentClient, tmp_path: Path) -> None:
    member = "trap 'echo got' USR1; echo up; while :; do sleep 0.05; done"
    script = f'({member}) & setsid sh -c "{member}" & {member}'
    job = client.begin(script=script.encode())
    stdout = client.output.setdefault((job, "stdout"), bytearray())
    while stdout.count(b"up") < 3:
        client.until("output", job)
    client.ask("signal", job, signal=int(signal.SIGUSR1))
    while stdout.count(b"got") < 3:
        client.until("output", job)
    client.ask("end", job, grace_s=0, why="")
    client.until("ended", job)
    # The `sleep`s have no trap for it and die of it; each shell says `got` once.
    assert stdout.count(b"got") == 3


def test_a_signal_that_ends_the_job_is_its_end(client: AgentClient) -> None:
    job = client.begin(argv=["sleep", "600"])
    client.until("started", job)
    client.ask("signal", job, signal=int(signal.SIGINT))
    assert client.until("ended", job)["end"] == {"kind": "killed", "signal": 2}


def test_signals_to_an_ended_job_are_harmless(client: AgentClient) -> None:
    job = client.begin(argv=["true"])
    client.until("ended", job)
    client.ask("signal", job, signal=9)
    client.ask("end", job, grace_s=0, why="")
    assert client.run(argv=["true"])["end"]["rc"] == 0


def test_an_end_before_the_start_takes_the_claim_back(client: AgentClient, tmp_path: Path) -> None:
    job = new_job()
    client.ask("claim", job)
    client.put(job, "stdin", b"x")
    client.ask("end", job, grace_s=0, why="told to")
    client.ask("start", job, spec={"argv": ["true"]})
    refused = client.until_refused(job)
    assert (refused["kind"], refused["why"]) == ("cancelled", "told to")
    assert list(job_folder(tmp_path, job).iterdir()) == []
    assert client.line(0.1) is None


def test_a_terminals_ctrl_c_does_not_end_the_agent(client: AgentClient) -> None:
    client.until("hello")
    client.run(argv=["true"])
    client.process.send_signal(signal.SIGINT)
    assert client.run(argv=["true"])["end"]["rc"] == 0


def test_the_job_holds_neither_the_channel_nor_the_agent(tmp_path: Path) -> None:
    with AgentClient(tmp_path) as client:
        job = client.begin(script=b"trap '' TERM HUP; sleep 600")
        client.until("started", job)
        client.process.kill()
        client.process.wait()
        assert client.line(5) is None  # the end of the channel, although the job still has its grace
        assert exit_record(tmp_path, job)["end"]["kind"] == "cancelled"


def test_descendants_are_found_over_all_generations() -> None:
    class Row:
        def __init__(self, parent: int) -> None:
            self.parent = parent

    table: Any = {2: Row(1), 3: Row(2), 4: Row(3), 5: Row(1), 6: Row(6)}
    assert below(2, table) == {3, 4}
    assert below(9, table) == set()


def test_a_process_whose_name_is_made_to_confuse_is_read_right(tmp_path: Path) -> None:
    name = tmp_path / ") R 1 1 ("
    name.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(name), "600"], start_new_session=True)
    try:
        while psutil.Process(process.pid).name() != name.name:
            time.sleep(0.01)
        row = read_processes()[process.pid]
        assert (row.parent, row.group, row.session) == (psutil.Process().pid, process.pid, process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_command_line_of_the_agent_holds_nothing_of_the_users(client: AgentClient) -> None:
    job = client.begin(argv=["sleep", "600"], env={"SECRET": "s3cret"})
    pid = client.until("started", job)["pid"]
    assert psutil.Process(pid).parent().cmdline()[1:] == plain()[1:]  # type: ignore[union-attr]


def test_where_processes_are_searched_for_the_search_is_repeated_although_one_has_found_none() -> None:
    """A search may miss a process that is just being forked."""
    life = Life("no-such-key", adopting=False, usage=Usage())
    life.begin(os.getpid(), grace_s=1.0, limit_s=None)
    now = time.monotonic()
    assert life.patience_ms(now) is None, "its first process runs: a signal tells of its end"
    life.first_ended_at = now
    assert life.patience_ms(now) is not None
