"""A run that is stopped is gone within two seconds, here and on its nodes, whatever its job did to stay."""

import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command, ended, local_ssh, nothing_left, send
from tests.cli.held_jobs import held, let_go
from tests.waiting import SOON_S, eventually

from .test_run_ends import STUBBORN, await_output

STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
ANY_STOP = [*STOPS, (signal.SIGHUP, 129)]
ORPHANS = "(setsid sh -c 'sleep 301 & sleep 302' &); nohup sleep 303 >/dev/null 2>&1 & echo up; sleep 304"


@pytest.mark.parametrize("text", [ORPHANS, STUBBORN], ids=["orphans", "deaf-to-TERM"])
@pytest.mark.parametrize(("number", "rc"), STOPS)
def test_a_stopped_run_leaves_nothing(lab: Lab, clbalance: Command, number: signal.Signals, rc: int, text: str) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node[1-2]", "--pick", "2", "-c", text)
        await_output(child)
        assert send(child, number) < SOON_S
        assert child.returncode == rc


def test_ctrl_c_on_a_terminal_stops_it_and_tells_how_it_ended(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        terminal = clbalance.on_terminal("run", "-w", "node1", "-c", f"exec 2>/dev/null; {ORPHANS}")
        terminal.read_until(b"up")
        terminal.type(b"\x03")
        assert terminal.end() == 130
    assert "CANCELLED" in terminal.lines[-1]
    assert [line.split()[0] for line in terminal.lines[-3:]] == ["^C", "NODE", "node1"], "none is glued to another"


def test_a_second_ctrl_c_does_no_harm(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", STUBBORN)
        await_output(child)
        for _ in range(3):
            child.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert ended(child) == 130


def test_a_run_on_a_node_that_hangs_can_be_stopped(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", "-w", "node[1-2]", "--pick", "2", "-c", "echo up; sleep 300")
    await_output(child)
    lab.node("node1").hang()
    assert send(child, signal.SIGINT) < SOON_S
    assert child.returncode == 130
    eventually(lambda: not local_ssh(lab))
    lab.node("node1").thaw()
    eventually(lambda: all(len(lab.processes(name)) == 2 for name in ("node1", "node2")))


@pytest.mark.parametrize("verb", [("load",), ("pick",), ("run", "-c", "true")], ids=lambda verb: verb[0])
def test_a_sweep_can_be_stopped(lab: Lab, clbalance: Command, verb: tuple[str, ...]) -> None:
    for name in ("node1", "node2"):  # both, or one that answers is enough for `pick` and `run`
        lab.node(name).hang()
    child = clbalance.start(verb[0], "-w", "node[1-2]", *verb[1:])
    eventually(lambda: local_ssh(lab))
    assert send(child, signal.SIGTERM) < SOON_S
    assert child.returncode == 143
    eventually(lambda: not local_ssh(lab))


def test_a_reader_that_goes_away_ends_the_job(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-q", "-w", "node1", "-c", "yes & wait")
        assert await_output(child).startswith(b"y\n")
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        err = child.stderr.read()
        assert ended(child) == 128 + signal.SIGPIPE
    assert err == b""


def test_a_hangup_lets_the_job_go(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", f"echo up; {held('echo done; exit 6')}")
        await_output(child)
        assert send(child, signal.SIGHUP) < SOON_S
        assert child.returncode == 129
        let_go(clbalance)
        attached = clbalance("attach")
        assert (attached.rc, attached.text) == (6, "up\ndone\n"), attached


def test_a_killed_client_leaves_the_job_running_and_attachable(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", f"echo up; {held('echo done; exit 6')}")
        await_output(child)
        child.kill()
        ended(child)
        assert "RUNNING" in clbalance("jobs").text
        let_go(clbalance)
        attached = clbalance("attach", "1")
        assert (attached.rc, attached.text) == (6, "up\ndone\n"), attached
    assert "FAILED" in clbalance("jobs", "--ended").text


def test_what_a_killed_client_left_running_can_be_cancelled(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", STUBBORN)
        await_output(child)
        child.kill()
        ended(child)
        assert clbalance("cancel", "last").rc == 0
    assert "cancelled by" in clbalance("jobs", "--ended").text


def test_nohup_keeps_it_running(clbalance: Command) -> None:
    child = subprocess.Popen(
        [
            "sh",
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            *ARGV,
            "run",
            "-q",
            "-w",
            "node1",
            "-c",
            "echo up; sleep 1; echo done",
        ],
        stdout=subprocess.PIPE,
        env=dict(clbalance.env),
        cwd=clbalance.folder,
    )
    await_output(child)
    child.send_signal(signal.SIGHUP)
    out, _ = child.communicate()
    assert (child.returncode, out) == (0, b"done\n")


def test_output_until_the_stop_is_shown(clbalance: Command) -> None:
    """Also what a label or `-b` held back."""
    child = clbalance.start(
        "run", "-q", "-w", "node1", "-b", "-c", "printf 'half a line'; touch $TMPDIR/said; sleep 300"
    )
    lab_said = os.path.join(clbalance.env["CLBALANCE_LAB_DIR"], "node1", "tmp", "said")
    eventually(lambda: os.path.exists(lab_said))
    time.sleep(0.4)  # the agent looks at a growing file four times a second
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate()
    assert b"half a line\n" in out


def test_a_reader_that_has_fallen_asleep_does_not_keep_it(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-q", "-w", "node1", "-c", "yes & wait")
        await_output(child)
        time.sleep(0.5)  # the pipe fills
        assert send(child, signal.SIGTERM) < SOON_S
        assert child.returncode == 143


@pytest.mark.soak
@pytest.mark.parametrize("verb", [("load",), ("run", "-c", STUBBORN)], ids=lambda verb: verb[0])
@pytest.mark.parametrize(("number", "rc"), ANY_STOP)
def test_at_whatever_point_it_is_stopped(
    lab: Lab, clbalance: Command, number: signal.Signals, rc: int, verb: tuple[str, ...]
) -> None:
    """`CLBALANCE_SOAK=50` for as many random points."""
    rng = random.Random(number)
    with nothing_left(lab):
        for _ in range(int(os.environ.get("CLBALANCE_SOAK", "2"))):
            child = clbalance.start(verb[0], "-w", "node[1-3]", *verb[1:])
            eventually(partial(_heeds_signals, child.pid))
            time.sleep(rng.uniform(0.0, 0.4))
            child.send_signal(number)
            began = time.monotonic()
            _, err = child.communicate()
            assert time.monotonic() - began < SOON_S
            assert child.returncode in {rc, 0}
            assert b"Traceback" not in err
        clbalance("cancel", "--all")  # what a hangup has let go


def _heeds_signals(pid: int) -> bool:
    """Whether it has a handler for SIGHUP, which Python itself has not."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) & 1)
