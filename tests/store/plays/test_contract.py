"""What every record of runs promises (`ports.PlayJournal`), run over each of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import pytest

from clbalance.errors import LockedError, StoreError
from clbalance.model.play_run import NodeChanged, NodeState, RunState, StepList, StepState
from clbalance.ports.plays import PlayJournal
from clbalance.store.state import SqliteStore
from tests.engine.play.journal import InMemoryPlays
from tests.store.build import after, node

from .build import NODES, a_run, begun, ended


class Plays(PlayJournal, Protocol):
    """A journal of one process, which ends with it."""

    def close(self) -> None: ...


class Host:
    """One submit host. Each `process` has a journal of its own."""

    def __init__(self, process: Callable[[], Plays]) -> None:
        self.process = process


@pytest.fixture(params=["sqlite", "in memory"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    if request.param == "in memory":
        first = InMemoryPlays()
        yield Host(lambda: InMemoryPlays(runs=first.runs))
        return
    with ExitStack() as stack:

        def process() -> Plays:
            return stack.enter_context(closing(stack.enter_context(SqliteStore.open(tmp_path)).plays()))

        yield Host(process)


@pytest.fixture
def plays(host: Host) -> Plays:
    return host.process()


def test_no_node_of_a_new_run_is_started_and_they_stay_in_their_order(plays: Plays) -> None:
    number = plays.begin(a_run())
    assert [(one.node, one.state) for one in plays.progress(number)] == [(one, NodeState.NOT_STARTED) for one in NODES]


def test_the_same_playbook_runs_once_at_a_time(host: Host) -> None:
    first, second = host.process(), host.process()
    number = first.begin(a_run())
    with pytest.raises(LockedError):
        second.begin(a_run())
    with pytest.raises(LockedError):
        second.go_on(number, after(1), "", "")
    assert second.begin(a_run("/p/other.yml")) == number + 1
    first.end(number, after(1), RunState.COMPLETED, "")
    assert host.process().begin(a_run()) == number + 2


def test_a_run_whose_process_is_gone_goes_on_in_another(host: Host) -> None:
    first, second = host.process(), host.process()
    number = first.begin(a_run())
    first.close()
    assert second.go_on(number, after(1), "new", "cd").state is RunState.INTERRUPTED
    with pytest.raises(LockedError):
        host.process().begin(a_run())


def test_a_step_is_begun_then_ended_and_other_processes_see_both(host: Host) -> None:
    plays, reader = host.process(), host.process()
    number = plays.begin(a_run())
    plays.write(number, begun("n1"))
    assert reader.progress(number)[0].records == (begun("n1"),)
    plays.write(number, ended("n1", out="hello"))
    assert reader.progress(number)[0].records == (ended("n1", out="hello"),)
    (quick, *_) = reader.progress(number, output=False)
    assert quick.records[0].ended is not None
    assert quick.records[0].ended.result is not None
    assert (quick.records[0].ended.result.rc, quick.records[0].ended.result.out) == (3, "")


def test_each_attempt_is_kept_in_order_and_an_end_is_that_of_the_last(plays: Plays) -> None:
    number = plays.begin(a_run())
    plays.write(number, begun("n1"))
    plays.write(number, begun("n2"))
    plays.write(number, begun("n1", attempt=2))
    plays.write(number, ended("n1", attempt=2))
    plays.write(number, begun("n1", steps=StepList.ROLLBACK))
    first, second, _ = plays.progress(number)
    assert first.records == (begun("n1"), ended("n1", attempt=2), begun("n1", steps=StepList.ROLLBACK))
    assert second.records == (begun("n2"),)


def test_a_drain_that_is_refused_all_night_is_one_record(plays: Plays) -> None:
    number = plays.begin(a_run())
    for second in range(5):
        plays.write(number, begun("n1", at=second))
        plays.write(number, ended("n1", state=StepState.REFUSED, at=second))
    plays.write(number, begun("n1", at=9))
    (first, *_) = plays.progress(number)
    assert first.records == (begun("n1", at=9),)


def test_a_nodes_state_is_the_last_one(plays: Plays) -> None:
    number = plays.begin(a_run())
    plays.write(number, NodeChanged(node=node("n2"), state=NodeState.RUNNING))
    plays.write(number, NodeChanged(node=node("n2"), state=NodeState.FAILED, reason="why", rolled_back=True))
    _, second, _ = plays.progress(number)
    assert (second.state, second.reason, second.rolled_back) == (NodeState.FAILED, "why", True)


def test_a_run_that_does_not_exist_does_not_go_on(plays: Plays) -> None:
    with pytest.raises(StoreError, match="there is no run 7"):
        plays.go_on(7, after(1), "", "")


def test_a_node_has_one_turn_at_a_time_whatever_runs(host: Host) -> None:
    first, second = host.process(), host.process()
    one, two = first.begin(a_run()), second.begin(a_run("/p/other.yml"))
    assert first.start_turn(one, NODES[0]) is None
    assert second.start_turn(two, NODES[0]) == one
    assert second.start_turn(two, NODES[1]) is None
    assert [row.state for row in second.progress(two)] == [
        NodeState.NOT_STARTED,
        NodeState.RUNNING,
        NodeState.NOT_STARTED,
    ]
    first.write(one, NodeChanged(node=NODES[0], state=NodeState.OK))
    assert second.start_turn(two, NODES[0]) is None


def test_a_turn_of_a_process_that_is_gone_holds_up_nobody(host: Host) -> None:
    first, second = host.process(), host.process()
    first.start_turn(first.begin(a_run()), NODES[0])
    first.close()
    assert second.start_turn(second.begin(a_run("/p/other.yml")), NODES[0]) is None
