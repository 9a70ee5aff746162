"""A job that prints faster than anybody reads is stopped like any other: its end is heard in time, and told as it was."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.admin.test_reap import home
from tests.cli.command import ARGV, Command, ended, killed, nothing_left
from tests.waiting import SOON_S, eventually

from .test_run_ends import await_output

UNSHOWN = "it printed faster than its output could be read: the last output is not shown"
MUCH_BYTES = 256 << 20
"""More than can be read in the time that an end may take."""


def said_and_gone(child: "subprocess.Popen[bytes]") -> tuple[str, float]:
    """What it still says on stderr, and the seconds that it takes to go."""
    began = time.monotonic()
    assert child.stderr is not None
    said = child.stderr.read().decode()
    ended(child)
    return said, time.monotonic() - began


def has_printed_much(lab: Lab, node: str) -> bool:
    return any(path.stat().st_size > MUCH_BYTES for path in (home(lab, node) / "jobs").glob("*/stdout"))


@pytest.mark.parametrize("nodes", [("node1",), ("node2", "node4")], ids="+".join)
@pytest.mark.parametrize(("number", "rc"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_fast_printer_that_is_stopped_is_told_as_cancelled(
    lab: Lab, clbalance: Command, nodes: tuple[str, ...], number: signal.Signals, rc: int
) -> None:
    with nothing_left(lab), Path(os.devnull).open("wb") as nowhere:
        child = subprocess.Popen(
            [*ARGV, "run", "-w", ",".join(nodes), "--pick", str(len(nodes)), "--", "yes"],
            stdin=subprocess.DEVNULL,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            env=dict(clbalance.env),
            cwd=clbalance.folder,
        )
        clbalance.opened.callback(killed, child)
        eventually(lambda: all(has_printed_much(lab, node) for node in nodes))
        child.send_signal(number)
        said, seconds = said_and_gone(child)
    assert child.returncode == rc
    assert [line.split()[:2] for line in said.splitlines() if line[:5] in nodes] == [[n, "CANCELLED"] for n in nodes]
    assert seconds < SOON_S
    for node in nodes:
        assert f"clbalance: warning: {node}: {UNSHOWN}" in said.splitlines()


def test_a_fast_printer_whose_reader_goes_is_told_as_cancelled(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node[2,4]", "--pick", "2", "--", "yes")
        await_output(child)
        eventually(lambda: has_printed_much(lab, "node2"))
        assert child.stdout is not None
        child.stdout.close()
        said, seconds = said_and_gone(child)
    assert child.returncode == 128 + signal.SIGPIPE
    assert [line.split()[1] for line in said.splitlines() if line.startswith("node")] == ["CANCELLED", "CANCELLED"]
    assert UNSHOWN not in said
    assert seconds < SOON_S


def test_what_a_job_says_when_it_is_told_to_end_is_shown(clbalance: Command) -> None:
    text = "trap 'seq 20000; echo farewell; exit' TERM; echo up; while :; do sleep 0.05; done"
    child = clbalance.start("run", "-w", "node1", "-c", text)
    assert await_output(child) == b"up\n"
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate()
    assert out.splitlines() == [*(b"%d" % number for number in range(1, 20001)), b"farewell"]
    assert UNSHOWN not in err.decode()
