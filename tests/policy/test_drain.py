"""Who is kept off a drained node, and how that is told."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import DrainMark, Proposal
from clbalance.policy.allocations import binding_drain, drain_reason, format_drain_end
from clbalance.policy.placement.explain import node_state
from clbalance.policy.placement.thresholds import Thresholds

from .build import ME, NOT_TOLD, NOW, ROOT, SHE, drain, lease, node, placed, sweep, unreadable


@pytest.mark.parametrize(
    ("mark", "binds"),
    [
        pytest.param(drain(), True, id="root's mark binds everybody"),
        pytest.param(drain(uid=SHE, binds_all=True), True, id="so does an administrator's"),
        pytest.param(drain(uid=ME, binds_all=False), True, id="our own binds us"),
        pytest.param(drain(uid=SHE, binds_all=False), False, id="anybody else's binds only themselves"),
        pytest.param(drain(for_s=1.0), True, id="one that the node has found in force"),
        pytest.param(drain(for_s=-600.0), True, id="whatever our own clock says of its end"),
    ],
)
def test_a_drain_mark_binds_us(mark: DrainMark, binds: bool) -> None:
    plan = placed(sweep(node("n", drains=(mark,))))
    assert bool(plan.unfit) is binds
    assert [unfit.reason for unfit in plan.unfit] == ["drained"] * binds


def test_who_does_not_know_who_he_is_keeps_off() -> None:
    answer = node("n", drains=(drain(uid=SHE, binds_all=False),))
    assert binding_drain(replace(answer.reading, uid=NOT_TOLD)) is not None


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        pytest.param(drain(by="alice"), "disk (by alice)", id="root may say on whose behalf"),
        pytest.param(drain(by=""), "disk (by root)", id="root without a name"),
        pytest.param(drain(uid=SHE, by="root"), "disk (by root, uid 1001)", id="others are told by number"),
        pytest.param(drain(uid=SHE, by=""), "disk (by uid 1001)", id="also without a name"),
    ],
)
def test_a_drain_mark_is_told(mark: DrainMark, message: str) -> None:
    assert drain_reason(mark, NOW) == message


@pytest.mark.parametrize(
    ("end", "message"),
    [
        pytest.param("2026-11-26 18:00", "18:00", id="today"),
        pytest.param("2026-11-27 06:05", "2026-11-27 06:05", id="another day"),
        pytest.param("2027-11-26 18:00", "2027-11-26 18:00", id="the same day of another year"),
    ],
)
def test_the_end_of_a_mark_is_told_by_the_clock_on_our_wall(end: str, message: str) -> None:
    now = datetime.fromisoformat("2026-11-26 12:00").astimezone()
    mark = replace(drain(), until=datetime.fromisoformat(end).astimezone(UTC))
    assert drain_reason(mark, now) == f"disk (by alice, until {message})"
    assert drain_reason(replace(mark, uid=SHE, by=""), now) == f"disk (by uid 1001, until {message})"
    proposal = replace(mark, proposal=Proposal(at=now, key="a" * 32))
    assert drain_reason(proposal, now) == "proposed: disk (by alice)"


def test_no_end_that_a_mark_can_name_is_too_far_to_be_told() -> None:
    assert format_drain_end(datetime.max.replace(tzinfo=UTC), NOW).startswith("9999-12-31")


def test_of_several_marks_one_that_binds_everybody_is_told() -> None:
    marks = (drain(uid=ME, reason="mine", binds_all=False), drain(uid=SHE, reason="hers"), drain(uid=ROOT))
    (unfit,) = placed(sweep(node("n", drains=marks))).unfit
    assert (unfit.filter, unfit.reason, unfit.detail) == ("drained", "drained", "disk (by alice)")


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        pytest.param(node("n", drains=(drain(),)), "drained", "disk (by alice)", id="empty: drained"),
        pytest.param(
            node("n", drains=(drain(),), leases=(lease(),)), "draining", "disk (by alice)", id="leased: draining"
        ),
        pytest.param(
            node("n", drains=(drain(),), leases=None), "draining", "disk (by alice)", id="unknown leases may be held"
        ),
        pytest.param(
            node("n", drains=(drain(),), r1m=None),
            "drained",
            "disk (by alice)",
            id="drained though the load is unknown",
        ),
        pytest.param(
            node("n", leases=None, drains=None),
            "unknown",
            "leases unknown: not told",
            id="unknown marks, unknown state",
        ),
        pytest.param(
            node("n", leases=(lease(cpus=4.0),)),
            "busy",
            "too few cpus free: 1 requested, 0 of 4 free, 4 allocated",
            id="promised away: busy",
        ),
        pytest.param(
            node("n", leases=(unreadable(),)),
            "busy",
            "allocated whole: by uid 1001: unreadable lease: no JSON",
            id="allocated whole: busy",
        ),
    ],
)
def test_a_node_is_shown_as(answer: object, state: str, reason: str | None) -> None:
    condition = node_state(answer, Thresholds(), NOW)  # type: ignore[arg-type]
    assert (condition.state.value, condition.reason) == (state, reason)
    assert bool(placed(sweep(answer)).chosen) is (state == "up")  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.none() | st.integers(1, 8), st.floats(0.0, 1.0))
def test_a_drained_node_is_never_picked(drained: list[bool], pick: int | None, cpus: float) -> None:
    answers = [node(f"n{at}", drains=(drain(),) if out else ()) for at, out in enumerate(drained)]
    chosen = placed(sweep(*answers), pick=pick, cpus=cpus).chosen
    assert not {f"n{at}" for at, out in enumerate(drained) if out} & set(chosen)
