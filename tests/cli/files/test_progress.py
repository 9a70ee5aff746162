"""What the progress of a copy or fetch makes of what it is told."""

import pytest

from clbalance.cli.console import Console
from clbalance.cli.files.progress import FileProgress
from clbalance.cli.options import OutputOptions
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult
from clbalance.policy.files.plan import FilePlan

ONE, TWO, THREE = (NodeName(name) for name in ("node1", "node2", "node3"))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plan_of(size: int) -> FilePlan:
    return FilePlan(files=(Entry(path="a", kind=FileKind.FILE, size=size),))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> FileProgress:
    made = FileProgress(Console.of(OutputOptions(quiet=True)), clock=clock)
    made.asked([ONE, TWO, THREE])
    return made


def test_nodes_that_were_not_compared_yet_count_as_the_mean_of_the_others(progress: FileProgress) -> None:
    progress.planned(ONE, plan_of(100))
    progress.planned(TWO, plan_of(300))
    assert progress.state().total_bytes == 600


def test_what_a_failed_node_has_not_sent_is_not_awaited(progress: FileProgress) -> None:
    for node in (ONE, TWO, THREE):
        progress.planned(node, plan_of(100))
    progress.moved(ONE, 10)
    progress.ended(FilesResult(node=ONE, failure="gone"))
    state = progress.state()
    assert (state.total_bytes, state.failed, state.ended) == (210, "node1", 1)


def test_the_rate_is_that_of_the_last_seconds(progress: FileProgress, clock: Clock) -> None:
    progress.state()
    for _ in range(60):
        clock.now += 0.5
        progress.moved(ONE, 500)
        progress.state()
    assert progress.state().rate == pytest.approx(1000, rel=0.1)
    for _ in range(60):
        clock.now += 0.5
        progress.idle()
        progress.state()
    assert progress.state().rate == 0


def test_the_slowest_of_several_is_named(progress: FileProgress) -> None:
    for node in (ONE, TWO):
        progress.started(node)
        progress.planned(node, plan_of(100))
    progress.moved(ONE, 90)
    progress.moved(TWO, 20)
    assert progress.state().slowest == (TWO, 0.2)
    progress.ended(FilesResult(node=ONE))
    assert progress.state().slowest is None
