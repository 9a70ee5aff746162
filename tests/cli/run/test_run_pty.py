"""`run --pty`: an interactive program on the chosen node, under a lease like every job."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Terminal, command_lines, local_ssh, nothing_left
from tests.waiting import SOON_S, eventually

from .test_resources import leases_of


def pty(clbalance: Command, *arguments: str, columns: int = 100) -> Terminal:
    return clbalance.on_terminal("run", "-q", "--pty", *arguments, columns=columns)


def test_a_program_has_the_terminal_and_its_code_is_ours(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        session = pty(clbalance, "-w", "node1", "--", "sh")
        session.read_until(b"$ " if os.geteuid() else b"# ")
        session.type(b'tty; echo "on <$CLBALANCE_NODE>"; stty size; echo "<$TERM>"; exit 7\n')
        assert session.end() == 7
    assert b"/dev/pts/" in session.raw
    assert b"on <node1>" in session.raw
    assert b"50 100" in session.raw
    assert b"<xterm>" in session.raw
    assert b"Connection to" not in session.raw


def test_it_holds_a_lease_meanwhile_and_none_afterwards(clbalance: Command) -> None:
    session = pty(clbalance, "-w", "node5", "--gpus", "1", "--name", "look", "-c", "echo $CUDA_VISIBLE_DEVICES; read x")
    session.read_until(b"GPU-")
    (lease,) = leases_of(clbalance, "node5")
    assert (lease["name"], len(lease["gpus"])) == ("look", 1)
    (job,) = json.loads(clbalance("jobs", "--json", "--usage").stdout)["jobs"]
    assert (job["state"], job["node_set"]) == ("RUNNING", "node5")
    assert job["mem_bytes"] > 0
    session.type(b"\n")
    assert session.end() == 0
    eventually(lambda: leases_of(clbalance, "node5") == [])


def test_ctrl_c_reaches_the_program_and_not_us(clbalance: Command) -> None:
    session = pty(
        clbalance, "-w", "node1", "-c", "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done"
    )
    session.read_until(b"up")
    session.type(b"\x03")
    assert session.end() == 9
    assert b"caught" in session.raw


def test_what_a_quick_program_prints_is_seen_whole(clbalance: Command) -> None:
    session = pty(clbalance, "-w", "node1", "-c", "seq 20000; echo last")
    assert session.end() == 0
    assert b"19999\r\n20000\r\nlast\r\n" in session.raw
    assert session.raw.count(b"\n") >= 20001


def test_the_window_follows_ours(clbalance: Command) -> None:
    session = pty(clbalance, "-w", "node1", "-c", "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.1; done")
    session.read_until(b"up")
    session.resize(33, 66)
    assert session.end() == 0
    assert b"33 66" in session.raw


def test_a_program_that_is_not_there_is_told_as_a_shell_would(clbalance: Command) -> None:
    session = clbalance.on_terminal("run", "--pty", "-w", "node1", "--", "/no/such/program")
    assert session.end() == 127
    assert b"not started: /no/such/program: No such file" in session.raw


def test_a_script_is_run_as_without_a_terminal(clbalance: Command) -> None:
    (clbalance.folder / "ask.sh").write_text('printf "name? "; read name; echo "hello $name of $1"\n')
    session = pty(clbalance, "-w", "node1", "ask.sh", "here")
    session.read_until(b"name? ")
    session.type(b"ann\n")
    assert session.end() == 0
    assert b"hello ann of here" in session.raw


def test_cancel_ends_the_program(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        session = pty(
            clbalance, "-w", "node1", "--name", "shell", "-c", "trap '' TERM HUP; echo up; while :; do sleep 1; done"
        )
        session.read_until(b"up")
        assert clbalance("cancel", "shell").rc == 0
        session.end()
    assert json.loads(clbalance("jobs", "--json", "shell").stdout)["jobs"][0]["state"] == "CANCELLED"


def test_its_time_limit_ends_it(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        assert pty(clbalance, "-w", "node1", "--time-limit", "1s", "--", "sleep", "600").end() == 124


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_a_killed_client_leaves_no_lease_and_no_process(lab: Lab, clbalance: Command, number: signal.Signals) -> None:
    with nothing_left(lab):
        session = pty(clbalance, "-w", "node1", "-c", "echo up; sleep 600")
        session.read_until(b"up")
        os.kill(clients_of(clbalance)[0], number)
        eventually(lambda: not local_ssh(lab))
        session.end()
    assert leases_of(clbalance, "node1") == []


def clients_of(clbalance: Command) -> list[int]:
    """The processes of this test's own `run --pty`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                argv, folder = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
            except OSError:
                continue
            if b"\0--pty\0" in argv and b"clbalance\0run" in argv and folder == clbalance.folder:
                found.append(int(process.name))
    return found


def test_a_login_that_is_cut_off_takes_the_program_along(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        session = pty(clbalance, "-w", "node1", "-c", "echo up; sleep 600")
        session.read_until(b"up")
        (login,) = (pid for pid, argv in command_lines() if os.fsencode(lab.ssh_config) in argv and b"-tt" in argv)
        os.kill(login, signal.SIGKILL)
        began = time.monotonic()
        assert session.end() == 128 + signal.SIGHUP
        assert time.monotonic() - began < SOON_S


def test_without_a_cluster_it_is_this_machine(alone: Command) -> None:
    session = pty(alone, "-c", "tty; read x; exit 5")
    session.read_until(b"/dev/pts/")
    session.type(b"\n")
    assert session.end() == 5


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--detach"], "--detach"),
        (["-b"], "-b"),
        (["--output", "x"], "--output"),
        (["--stdin", "x"], "--stdin"),
        (["--pick", "2"], "--pick 2"),
        (["--pick", "all"], "--pick all"),
    ],
)
def test_what_makes_no_sense_beside_a_terminal_is_told(alone: Command, option: list[str], named: str) -> None:
    done = alone("run", "--pty", *option, "--", "sh")
    assert done.rc == 2
    assert f"`--pty` and `{named}` exclude each other" in done.stderr


def test_without_a_terminal_there_is_none_to_give(alone: Command) -> None:
    done = alone("run", "--pty", "--", "sh")
    assert (done.rc, done.stdout) == (2, b"")
    assert "`--pty` needs a terminal on standard input" in done.stderr


def test_a_job_that_had_a_terminal_is_not_started_again_without(clbalance: Command) -> None:
    assert pty(clbalance, "-w", "node1", "--name", "once", "--", "true").end() == 0
    done = clbalance("requeue", "once")
    assert (done.rc, "had a terminal" in done.stderr) == (2, True)
