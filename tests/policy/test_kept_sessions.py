"""Which sessions are kept: few enough, the right ones, and sick nodes are tried again neither too soon nor too late."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import (
    BeginNew,
    Changes,
    Failed,
    KeptLimits,
    KeptSessions,
    Refuse,
    Use,
    changes,
    failed_again,
    on_open,
)

NODES = tuple(NodeName(f"n{number}") for number in range(6))
NOW_S = 1000.0
CAUSES = (Cause.REFUSED, Cause.TIMEOUT, Cause.GARBLED, Cause.AUTH, Cause.DNS)

nodes = st.sampled_from(NODES)
seconds = st.integers(0, 2000).map(float)
limits = st.builds(KeptLimits, most=st.integers(1, 8), idle_s=st.sampled_from([1.0, 300.0]))
failures = st.builds(
    Failed, cause=st.sampled_from(CAUSES), reason=st.just("no"), times=st.integers(1, 40), try_at_s=seconds
)
states = st.builds(
    KeptSessions,
    uses=st.dictionaries(nodes, st.sampled_from(Use)),
    asked_s=st.dictionaries(nodes, seconds.map(lambda at: min(at, NOW_S))),
    failed=st.dictionaries(nodes, failures),
)


def after(state: KeptSessions, told: Changes) -> KeptSessions:
    uses = {node: use for node, use in state.uses.items() if node not in told.close}
    return KeptSessions(uses=uses | dict.fromkeys(told.begin, Use.BEGINS), asked_s=state.asked_s, failed=state.failed)


@given(states, limits)
def test_sessions_in_use_are_never_closed(state: KeptSessions, limits: KeptLimits) -> None:
    assert all(state.uses[node] is not Use.TAKEN for node in changes(state, limits, NOW_S).close)


@given(states, limits)
def test_there_are_never_too_many_unless_all_are_in_use(state: KeptSessions, limits: KeptLimits) -> None:
    uses = after(state, changes(state, limits, NOW_S)).uses
    assert len(uses) <= limits.most or all(use is Use.TAKEN for use in uses.values())


@given(states, limits)
def test_one_look_does_all_that_is_to_be_done(state: KeptSessions, limits: KeptLimits) -> None:
    told = changes(state, limits, NOW_S)
    assert changes(after(state, told), limits, NOW_S) == Changes(close=(), begin=())
    assert not set(told.close) & set(told.begin) or len(state.uses) > limits.most


@given(states, limits)
def test_only_nodes_that_were_asked_lately_are_begun_in_the_background(state: KeptSessions, limits: KeptLimits) -> None:
    for node in changes(state, limits, NOW_S).begin:
        assert node not in state.uses
        assert NOW_S - state.asked_s[node] < limits.idle_s


@given(states, limits)
def test_no_node_is_begun_before_its_wait_is_over_and_no_refused_login_is_repeated(
    state: KeptSessions, limits: KeptLimits
) -> None:
    for node in changes(state, limits, NOW_S).begin:
        if (failed := state.failed.get(node)) is not None:
            assert failed.try_at_s <= NOW_S
            assert failed.cause not in {Cause.AUTH, Cause.DNS}


@given(states, limits)
def test_a_node_that_may_be_tried_again_is_tried_if_there_is_room(state: KeptSessions, limits: KeptLimits) -> None:
    told = after(state, changes(state, limits, NOW_S))
    if len(told.uses) < limits.most:
        for node, failed in state.failed.items():
            wanted = node in state.asked_s and NOW_S - state.asked_s[node] < limits.idle_s
            if wanted and failed.try_at_s <= NOW_S and failed.cause not in {Cause.AUTH, Cause.DNS}:
                assert node in told.uses


@given(failures, seconds, st.booleans())
def test_a_sick_node_makes_nobody_wait(failed: Failed, now_s: float, is_kept: bool) -> None:
    told = on_open(failed, now_s, is_kept=is_kept)
    if failed.cause in {Cause.REFUSED, Cause.TIMEOUT, Cause.GARBLED}:
        assert told == Refuse(failed=failed)


def test_a_refused_login_is_tried_again_only_once_somebody_asks_after_its_wait() -> None:
    failed = Failed(cause=Cause.AUTH, reason="Permission denied", times=1, try_at_s=NOW_S)
    assert on_open(failed, NOW_S - 0.1, is_kept=False) == Refuse(failed=failed)
    assert on_open(failed, NOW_S, is_kept=False) == BeginNew()


@given(st.integers(), st.sampled_from(CAUSES))
def test_waits_grow_up_to_a_limit_and_nodes_do_not_return_together(seed: int, cause: Cause) -> None:
    limits, rng = KeptLimits(), random.Random(seed)
    most_s = limits.most_wait_s if cause not in {Cause.AUTH, Cause.DNS} else limits.most_wait_unmended_s
    failed = None
    for times in range(1, 20):
        failed = failed_again(failed, cause, "no", limits=limits, now_s=NOW_S, rng=rng)
        longest_s = min(most_s, limits.first_wait_s * 2 ** (times - 1))
        assert failed.times == times
        assert longest_s / 2 <= failed.try_at_s - NOW_S <= longest_s


@pytest.mark.parametrize("times", [1, 7, 10**9])
def test_a_node_that_fails_for_ever_is_tried_for_ever(times: int) -> None:
    before = Failed(cause=Cause.REFUSED, reason="", times=times, try_at_s=0.0)
    told = failed_again(before, Cause.REFUSED, "", limits=KeptLimits(), now_s=NOW_S, rng=random.Random(1))
    assert NOW_S < told.try_at_s <= NOW_S + KeptLimits().most_wait_s
