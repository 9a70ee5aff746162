"""A node that hangs on a cluster delays no work that can run elsewhere."""

import json
import time
from collections.abc import Iterator

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, impatient, local_ssh
from tests.cli.held_jobs import LATER, held, let_go
from tests.waiting import eventually

FULL_TIME_S = 120.0
PATIENT = ("-t", f"{FULL_TIME_S:g}", "-u", f"{FULL_TIME_S:g}")


@pytest.fixture
def clbalance(clbalance: Command) -> Command:
    """With the program's own patience for late nodes."""
    return impatient(clbalance)


@pytest.fixture
def quickly(lab: Lab) -> Iterator[None]:
    """node4 hangs; the test must end before that node has had its full time, and leaves no ssh."""
    lab.node("node4").hang()
    began = time.monotonic()
    yield
    assert time.monotonic() - began < FULL_TIME_S
    eventually(lambda: not local_ssh(lab))


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        pytest.param(("run", "-q", "-w", "node[1-6]", "-c", "echo done"), "done\n", id="a job"),
        pytest.param(("run", "-q", "-w", "node[1-6]", "--pick", "5", "-c", "echo done"), "done\n" * 5, id="copies"),
        pytest.param(("run", "-q", "-w", "node[1-6]", "--array", "0-3", "-c", "echo done"), "done\n" * 4, id="tasks"),
        pytest.param(("pick", "-w", "node[2-4]", "--pick", "2"), "node[2-3]\n", id="pick"),
    ],
)
def test_work_starts_without_a_node_that_hangs(
    quickly: None, clbalance: Command, arguments: tuple[str, ...], printed: str
) -> None:
    done = clbalance(arguments[0], *PATIENT, *arguments[1:])
    assert (done.rc, "".join(line.partition(": ")[2] or line for line in done.text.splitlines(keepends=True))) == (
        0,
        printed,
    )


def test_the_node_is_named_as_not_awaited(quickly: None, clbalance: Command) -> None:
    document = json.loads(clbalance("pick", *PATIENT, "-w", "node[3-4]", "--json").stdout)
    assert [(one["name"], one["reason"]) for one in document["unfit"]] == [("node4", "not awaited")]
    assert clbalance("run", *PATIENT, "-w", "node[3-4]", "-c", "true").rc == 0
    told = clbalance("explain", "last")
    assert "not awaited" in next(line for line in told.lines if line.startswith("node4"))


def test_a_node_has_its_full_time_where_all_are_wanted(lab: Lab, clbalance: Command) -> None:
    lab.node("node4").hang()
    for arguments, rc in (
        (("-w", "node[3-4]", "--pick", "2"), 3),
        (("-w", "node[3-4]", "--pick", "all"), 0),
        (("-w", "node4"), 3),
    ):
        done = clbalance("pick", *arguments, *LATER, "--explain")
        told = next(line for line in done.stderr.splitlines() if line.startswith("node4"))
        assert (done.rc, "not awaited" in told, "hung" in told or "timed out" in told) == (rc, False, True)


def test_a_node_that_answers_late_gets_tasks_too(lab: Lab, clbalance: Command) -> None:
    lab.node("node4").hang()
    where = ("-w", "node[3-4]", "--array", "0-19", "-c", f"touch $CLBALANCE_NODE; {held('echo $CLBALANCE_NODE')}")
    run = clbalance.start("run", "-q", *PATIENT, *where)
    eventually((clbalance.folder / "node3").exists)
    lab.node("node4").thaw()
    eventually((clbalance.folder / "node4").exists)
    let_go(clbalance)
    printed, _ = run.communicate()
    assert run.returncode == 0
    assert {line.split()[-1] for line in printed.decode().splitlines()} == {"node3", "node4"}
