"""A placement goes on without late nodes once enough have answered, and never sooner."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Answer, Measured, NodeName, Request, Snapshot
from clbalance.model.request import Constraints
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.placement.quorum import (
    ANY_NODE,
    GRACE_OF_FEW_S,
    GRACE_S,
    LATE_TIMES,
    Quorum,
    enough_for,
    go_on_at,
    not_awaited,
    with_late,
)
from tests.policy.build import NOW, node, silent

EVENTS = st.lists(st.tuples(st.floats(0.0, 20.0), st.sampled_from("abcs-")), max_size=12).map(sorted)
"""When a node answered, and which: of pool a, b or c, a suspect, or one that failed."""


def moment(asked: int, events: str, wanted: int | None = 1, suspects: int = 0) -> float | None:
    """`events`: a word for each node that is over: `a0.3` fits, `x0.3` does not, `-0.3` failed, `s0.3` is a suspect."""
    quorum = Quorum(asked - suspects, replace(ANY_NODE, wanted=wanted, pool_of=pool_of))
    for word in events.split():
        quorum.add(*answered(word[0], float(word[1:])), trusted=word[0] != "s")
    return quorum.go_on_at


def answered(kind: str, at_s: float) -> tuple[Answer, float]:
    return (silent("n") if kind == "-" else node(kind)), at_s


def pool_of(answer: Measured) -> str | None:
    return None if answer.node in {"x", "s"} else answer.node


@pytest.mark.parametrize(
    ("asked", "events", "wanted", "at"),
    [
        pytest.param(6, "a0.1 a0.2 a0.3 a0.3 a0.3", 1, 1.3, id="a grace after half of the nodes"),
        pytest.param(6, "a0.1 a0.2", 1, None, id="fewer than half are not enough"),
        pytest.param(6, "", 1, None, id="nobody has answered"),
        pytest.param(6, "-0.1 -0.1 -0.1 -0.1 -0.1", 1, None, id="failures alone are not enough"),
        pytest.param(6, "-0.1 -0.1 a0.2", 1, 1.2, id="a node that failed is no more awaited"),
        pytest.param(1, "", 1, None, id="one node alone has its full time"),
        pytest.param(2, "a0.2", 1, 1.2, id="one of two is half"),
        pytest.param(3, "a0.2", 1, None, id="one of three is not"),
        pytest.param(6, "x0.1 x0.1 x0.1 x0.1 x0.1", 1, None, id="none of those that answered fits"),
        pytest.param(6, "x0.1 x0.1 x0.1 x0.1 a4.0", 1, 5.0, id="the first that fits came late"),
        pytest.param(6, "a0.1 a0.2 a0.3 a0.4 a0.5", 3, 1.3, id="as many as are wanted"),
        pytest.param(6, "a0.1 a0.2 a0.3 a0.4 a0.5", 5, 1.5, id="the last of the wanted counts"),
        pytest.param(6, "a0.1 a0.2 a0.3 a0.4 a0.5", 6, None, id="all are wanted: the last has its full time"),
        pytest.param(6, "a0.1 a0.2 a0.3 a0.4 a0.5", None, None, id="`--pick all`: the last has its full time"),
        pytest.param(6, "a3.0 a3.0 a3.1 a3.1 a3.2", 1, 9.3, id="where all are slow, so may be the last"),
        pytest.param(6, "a0.1 b0.1 c0.1 a0.9 x1.0", 2, 1.9, id="nodes that cannot be used together are not added up"),
    ],
)
def test_when_a_placement_goes_on(asked: int, events: str, wanted: int | None, at: float | None) -> None:
    assert moment(asked, events, wanted) == (at if at is None else pytest.approx(at))


@pytest.mark.parametrize(
    ("asked", "suspects", "events", "wanted", "at"),
    [
        pytest.param(3, 1, "x0.1 x0.2", 1, 1.2, id="suspects alone have a grace behind the others"),
        pytest.param(3, 1, "x0.1 x0.2", None, 1.2, id="also for `--pick all`"),
        pytest.param(3, 1, "x3.0 x3.0", 1, 4.0, id="however slow the others were"),
        pytest.param(3, 1, "-0.1 -0.2", 1, None, id="but not where nobody else has answered"),
        pytest.param(3, 1, "x0.1", 1, None, id="a good node has its full time, and so have suspects beside it"),
        pytest.param(6, 4, "a0.1 a0.2", 1, 1.1, id="suspects are not among those of whom half must answer"),
        pytest.param(2, 2, "s0.1", 1, 1.1, id="of suspects alone the last has a grace behind the first"),
    ],
)
def test_a_placement_waits_less_for_suspects(
    asked: int, suspects: int, events: str, wanted: int | None, at: float | None
) -> None:
    assert moment(asked, events, wanted, suspects) == (at if at is None else pytest.approx(at))


@given(EVENTS, st.integers(0, 6), st.one_of(st.none(), st.integers(1, 6)))
def test_it_never_goes_on_before_enough_have_answered(
    events: list[tuple[float, str]], pending: int, wanted: int | None
) -> None:
    trusted = [at_s for at_s, kind in events if kind != "s"]
    quorum = Quorum(len(trusted) + pending, replace(ANY_NODE, wanted=wanted, pool_of=pool_of))
    earlier = None
    for at_s, kind in events:
        quorum.add(*answered(kind, at_s), trusted=kind != "s")
        at = quorum.go_on_at
        if at is None:
            continue
        over = [one for one in events if one[0] <= at_s]
        assert at >= min(one for one, kind in events if kind != "-") + GRACE_S
        if pending:
            assert wanted is not None
            assert 2 * sum(kind != "s" for _, kind in over) >= len(trusted) + pending
            assert max(sum(kind == pool for _, kind in over) for pool in "abc") >= wanted
            assert earlier is None or at >= earlier, "an answer does not shorten the time of the others"
            earlier = at


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=12).map(sorted))
def test_a_node_has_at_least_three_times_the_median(times: list[float]) -> None:
    at = go_on_at(trusted=2 * len(times), trusted_s=times, measured_s=times, enough_s=times[0])
    assert at is not None
    assert at >= times[-1] + GRACE_S
    assert sum(LATE_TIMES * time <= at + 1e-9 for time in times) >= len(times) / 2


def test_nodes_that_are_asked_later_have_their_grace_from_then() -> None:
    times = [0.1, 0.1, 0.1]
    at = go_on_at(trusted=5, trusted_s=times, measured_s=times, enough_s=0.1, asked_s=2.0)
    assert at == pytest.approx(3.0)


def test_where_few_were_asked_the_rest_has_three_times_as_long_and_no_second() -> None:
    quorum = Quorum(2, replace(ANY_NODE, are_few=True))
    quorum.add(*answered("a", 0.2), trusted=True)
    assert quorum.go_on_at == pytest.approx(LATE_TIMES * 0.2)
    quick = Quorum(2, replace(ANY_NODE, are_few=True))
    quick.add(*answered("a", 0.01), trusted=True)
    assert quick.go_on_at == pytest.approx(0.01 + GRACE_OF_FEW_S)


def test_three_times_as_long_is_counted_from_when_the_last_were_asked() -> None:
    quorum = Quorum(4, replace(ANY_NODE, are_few=True), asked_s=5.0)
    for _ in range(2):
        quorum.add(*answered("a", 0.2), trusted=True)
    assert quorum.go_on_at == pytest.approx(5.0 + LATE_TIMES * 0.2)


def test_enough_for_a_request_are_nodes_that_fit_it() -> None:
    enough = enough_for(Request(pick=2, cpus=4.0), LEAST, NOW)
    assert enough.wanted == 2
    assert enough.pool_of(node("a")) == ""
    assert enough.pool_of(node("b", cpus=2)) is None
    assert enough.pool_of(replace(node("c"), suspect="3 probes in a row failed; answered 1 of 2")) is None
    excluding = enough_for(Request(excluded=frozenset({NodeName("a")})), LEAST, NOW)
    assert excluding.pool_of(node("a")) is None


def test_with_same_each_value_of_the_label_is_a_pool_of_its_own() -> None:
    enough = enough_for(Request(pick=2, constraints=Constraints(same="rack")), LEAST, NOW)
    assert enough.pool_of(replace(node("a"), labels={"rack": "r1"})) == "r1"
    assert enough.pool_of(node("b")) is None


def test_only_nodes_that_were_not_awaited_get_a_late_answer() -> None:
    charged, failed = node("a", debt=1.0), silent("c")
    snapshot = Snapshot(taken_at=NOW, answers=(charged, not_awaited(NodeName("b"), 1.3), failed))
    later = Snapshot(taken_at=NOW, answers=(node("a"), node("b"), node("c")))
    assert with_late(snapshot, later).answers == (charged, node("b"), failed)
