"""A node that fails several probes in a row is suspect, gets no work, and comes back by itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Answer, Cause, Measured, NodeName, Silent
from clbalance.model.node_history import FailureStreak
from clbalance.policy.node_memory import (
    BACK_AFTER,
    COUNTED_APART_S,
    marked_refused,
    marked_suspect,
    next_streak,
    with_streaks,
)
from clbalance.policy.placement.explain import node_state
from clbalance.policy.placement.quorum import not_awaited
from clbalance.policy.placement.thresholds import Thresholds

from .build import NOW, drain, node, placed, silent, sweep

N = NodeName("n")
LOOKS = st.lists(st.tuples(st.booleans(), st.floats(0.0, 30.0)), max_size=30)
"""Whether it answered, and so many seconds after the look before."""


def seen(samples: str, *, every_s: float = 10.0, after: int | None = 3) -> FailureStreak:
    """What `+` (answered) and `-` (silent) come to."""
    streak = FailureStreak()
    for at, look in enumerate(samples):
        streak = next_streak(streak, answered=look == "+", now_s=1e9 + at * every_s, suspect_after=after)
    return streak


@pytest.mark.parametrize(
    ("samples", "suspect"),
    [
        pytest.param("--", False, id="two failures are not three"),
        pytest.param("---", True, id="three in a row are"),
        pytest.param("--+-", False, id="an answer in between begins anew"),
        pytest.param("---+", True, id="one answer does not bring it back"),
        pytest.param("---++", False, id="two in a row do"),
        pytest.param("---+-+", True, id="two that are not in a row do not"),
        pytest.param("---++-", False, id="who is back begins anew"),
    ],
)
def test_a_node_is_suspect(samples: str, suspect: bool) -> None:
    assert seen(samples).suspect is suspect


def test_a_burst_of_calls_is_one_probe() -> None:
    assert seen("-" * 9, every_s=0.5) == replace(seen("-"), silent_at_s=seen("-", every_s=0.5).silent_at_s)
    assert seen("-" * 11, every_s=1.0).suspect


def test_a_clock_that_is_set_back_does_not_stop_the_count() -> None:
    streak = FailureStreak()
    for now_s in (1e9, 1e9 - 3600, 1e9 - 3500):
        streak = next_streak(streak, answered=False, now_s=now_s, suspect_after=3)
    assert streak.suspect


def test_switched_off_nothing_is_suspect_and_who_was_is_no_more() -> None:
    assert not seen("-" * 9, after=None).suspect
    assert not next_streak(seen("---"), answered=False, now_s=2e9, suspect_after=None).suspect


@given(LOOKS, st.integers(1, 6))
def test_nothing_is_suspect_without_that_many_failures_far_enough_apart(
    samples: list[tuple[bool, float]], after: int
) -> None:
    streak, now_s, counted, last_s = FailureStreak(), 1e9, 0, 0.0
    for answered, later_s in samples:
        now_s += later_s
        before = streak
        streak = next_streak(streak, answered=answered, now_s=now_s, suspect_after=after)
        if answered:
            counted = 0 if not streak.suspect else counted
        elif now_s - last_s >= COUNTED_APART_S:
            counted, last_s = counted + 1, now_s
        assert streak.suspect <= (counted >= after)
        assert streak.suspect or not before.suspect or answered  # only answers bring it back


@given(LOOKS)
def test_whoever_answers_often_enough_is_back(samples: list[tuple[bool, float]]) -> None:
    streak, now_s = FailureStreak(), 1e9
    for answered, later_s in samples:
        now_s += later_s
        streak = next_streak(streak, answered=answered, now_s=now_s, suspect_after=2)
    for _ in range(BACK_AFTER):
        streak = next_streak(streak, answered=True, now_s=now_s, suspect_after=2)
    assert (streak.suspect, streak.silent) == (False, 0)


def kept(*answers: Answer, **before: FailureStreak) -> dict[str, FailureStreak]:
    found = with_streaks(answers, {NodeName(name): one for name, one in before.items()}, now_s=1e9, suspect_after=3)
    return {str(name): one for name, one in found.items()}


def test_of_healthy_nodes_nothing_is_written() -> None:
    assert kept(*(node(f"n{at}") for at in range(100))) == {}


def test_what_rebalance_has_counted_stays() -> None:
    assert kept(silent("a"), node("b"), a=FailureStreak(over=2))["a"].over == 2


def test_who_cannot_reach_any_of_several_nodes_is_cut_off_himself() -> None:
    assert kept(silent("a"), silent("b")) == {}
    assert set(kept(silent("a"))) == {"a"}
    assert set(kept(silent("a"), node("b"))) == {"a"}


@pytest.mark.parametrize("cause", [Cause.AUTH, Cause.HOSTKEY_UNKNOWN, Cause.LOCAL, Cause.THROTTLED, Cause.DNS])
def test_what_is_wrong_with_us_makes_no_node_suspect(cause: Cause) -> None:
    assert kept(silent("a", cause), node("b"), a=FailureStreak(silent=2)) == {}


def test_a_suspect_that_answers_is_measured_and_gets_no_work() -> None:
    answer = marked_suspect(node("n"), seen("---+"))
    condition = node_state(answer, Thresholds(), NOW)
    assert (condition.state.value, condition.reason) == ("suspect", "3 probes in a row failed; answered 1 of 2")
    (unfit,) = placed(sweep(answer)).unfit
    assert (unfit.filter, unfit.reason, unfit.detail) == ("suspect", "suspect", condition.reason)


def test_a_persons_word_is_told_before_our_suspicion() -> None:
    answer = marked_suspect(node("n", drains=(drain(),)), seen("---+"))
    assert node_state(answer, Thresholds(), NOW).state.value == "drained"


@pytest.mark.parametrize(
    ("cause", "samples", "state"),
    [
        pytest.param(Cause.HUNG, "--", "unknown", id="silent: unknown"),
        pytest.param(Cause.HUNG, "---", "suspect", id="silent too often: suspect"),
        pytest.param(Cause.REFUSED, "---", "down", id="not reached at all: down, whatever was before"),
    ],
)
def test_a_silent_node_is_shown_with_its_cause_and_how_often_it_failed(cause: Cause, samples: str, state: str) -> None:
    answer = marked_suspect(Silent(node=N, cause=cause, reason="no answer"), seen(samples))
    condition = node_state(answer, Thresholds(), NOW)
    assert condition.state.value == state
    assert str(cause) in str(condition.reason)
    assert ("3 probes in a row failed" in str(condition.reason)) is (samples == "---")


def test_one_that_was_not_awaited_counts_neither_as_failed_nor_as_answered() -> None:
    was = {NodeName("s"): FailureStreak(silent=3, suspect=True, answered=1)}
    assert with_streaks([node("a"), not_awaited(NodeName("s"), 1.3)], was, now_s=1e9, suspect_after=3) == {}


# -- nodes that could take no job


REFUSED = FailureStreak(refused="python3 failed: no encodings", refused_at_s=1000.0)


@pytest.mark.parametrize(
    ("now_s", "refused"),
    [
        pytest.param(1000.0, "python3 failed: no encodings (0 s ago)", id="at once"),
        pytest.param(1299.0, "python3 failed: no encodings (299 s ago)", id="for five minutes"),
        pytest.param(1300.0, "", id="then it is asked again"),
        pytest.param(999.0, "", id="a clock that was set back does not make it last"),
    ],
)
def test_a_refusal_counts(now_s: float, refused: str) -> None:
    answer = marked_refused(node("n"), REFUSED, now_s=now_s)
    assert isinstance(answer, Measured)
    assert answer.refused == refused
    condition = node_state(answer, Thresholds(), NOW)
    assert condition.state.value == ("unfit" if refused else "up")
    assert bool(placed(sweep(answer), needs_python=True).chosen) is (not refused)


def test_a_refusal_says_nothing_of_a_silent_node() -> None:
    assert marked_refused(silent("n"), REFUSED, now_s=1000.0) == silent("n")
