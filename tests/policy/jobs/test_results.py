"""Each node of a job is in exactly one set, and in the right one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cause, NodeName, Plan, Snapshot, Unfit
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    Killed,
    Lost,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    TimedOut,
)
from clbalance.policy.jobs.outcome import Result, result_of, result_sets

ENDS: list[tuple[End, float, Result]] = [
    (Exited(rc=0), 1.0, Result.OK),
    (Exited(rc=1), 1.0, Result.FAILED),
    (Killed(signal=9), 1.0, Result.FAILED),
    (TimedOut(limit_s=1.0), 1.0, Result.TIMEOUT),
    (OutOfMemory(limit_bytes=1), 1.0, Result.FAILED),
    (Cancelled(reason="by us"), 1.0, Result.CANCELLED),
    (Cancelled(reason="by us"), 0.0, Result.NOT_STARTED),
    (NotStarted(reason="no", rc=127), 0.0, Result.NOT_STARTED),
    (NodeFailed(reason="booted"), 1.0, Result.UNREACHABLE),
    (Lost(cause=Cause.TIMEOUT, reason=""), 1.0, Result.UNREACHABLE),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODES = [NodeName(f"n{number}") for number in range(8)]


def outcome(node: str, end: End, seconds: float = 1.0) -> Outcome:
    return Outcome(node=NodeName(node), rank=0, end=end, seconds=seconds)


def plan(wanted: int | None, **unfit: str) -> Plan:
    reason = tuple(Unfit(node=NodeName(node), filter=name, reason=name) for node, name in unfit.items())
    return Plan(wanted=wanted, chosen=(), ranked=(), unfit=reason, charged=Snapshot(taken_at=NOW, answers=()))


@pytest.mark.parametrize(("end", "seconds", "result"), ENDS)
def test_every_end_has_its_set(end: End, seconds: float, result: Result) -> None:
    assert result_of(outcome("a", end, seconds)) is result


def full(outcomes: list[Outcome], plan: Plan | None) -> dict[str, list[str]]:
    return {result.value: list(nodes) for result, nodes in result_sets(outcomes, NODES[:4], plan).items() if nodes}


def test_of_few_copies_only_the_nodes_that_refused_one_were_not_started() -> None:
    message = plan(1, n1="admission", n2="silent", n3="drained")
    assert full([outcome("n0", Exited(rc=0))], message) == {"ok": ["n0"], "notstarted": ["n1"]}


def test_where_every_candidate_was_wanted_those_without_a_copy_are_told() -> None:
    message = plan(None, n1="admission", n2="silent", n3="drained")
    sets = {"ok": ["n0"], "notstarted": ["n1", "n3"], "unreachable": ["n2"]}
    assert full([outcome("n0", Exited(rc=0))], message) == sets


def test_of_a_job_that_was_placed_nowhere_no_candidate_was_started() -> None:
    assert full([], plan(1, n2="silent")) == {"notstarted": ["n0", "n1", "n3"], "unreachable": ["n2"]}
    assert full([], None) == {"notstarted": ["n0", "n1", "n2", "n3"]}


@given(
    ends=st.lists(st.sampled_from(ENDS), max_size=8),
    wanted=st.none() | st.integers(1, 8),
    unfit=st.dictionaries(st.sampled_from(NODES), st.sampled_from(["admission", "silent", "drained"])),
)
def test_no_node_is_in_two_sets_and_every_set_is_there(
    ends: list[tuple[End, float, Result]], wanted: int | None, unfit: dict[str, str]
) -> None:
    outcomes = [outcome(node, end, seconds) for node, (end, seconds, _) in zip(NODES, ends, strict=False)]
    sets = result_sets(outcomes, NODES, plan(wanted, **unfit))
    placed = [node for nodes in sets.values() for node in nodes]
    assert len(placed) == len(set(placed))
    assert {one.node for one in outcomes} <= set(placed) <= set(NODES)
    assert list(sets) == list(Result)
