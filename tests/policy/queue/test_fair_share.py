"""Fair share: who used less lately comes sooner, by at most so many points, and nobody starves."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Request
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.queue.fair_share import FairShare, Use, charge_of, decayed, fair_shares, points_text
from clbalance.policy.queue.queues import QueuedJob, points
from clbalance.policy.queue.start import PendingJob, to_start
from tests.policy.build import NOW, node, sweep

WEEK_S = 7 * 86_400.0
HOUR_S = 3600.0
NOW_S = 1e9

USES = st.lists(
    st.builds(
        Use,
        account=st.sampled_from("abc"),
        charge=st.floats(0, 1000),
        since_s=st.floats(NOW_S - 1e7, NOW_S),
        until_s=st.floats(NOW_S - 1e7, NOW_S + 100),
    )
)


def use(account: str, *, hours: float = 1.0, ago_h: float = 0.0, charge: float = 1.0) -> Use:
    until_s = NOW_S - ago_h * HOUR_S
    return Use(account=account, charge=charge, since_s=until_s - hours * HOUR_S, until_s=until_s)


def test_an_account_that_used_its_share_has_a_half_and_one_that_used_nothing_has_all() -> None:
    found = fair_shares([use("a"), use("b")], "ab", NOW_S, WEEK_S)
    assert {account: one.factor for account, one in found.items()} == {"a": 0.5, "b": 0.5}
    found = fair_shares([use("a")], "ab", NOW_S, WEEK_S)
    assert (found["a"].used, found["a"].share, found["a"].factor) == (1.0, 0.5, 0.25)
    assert found["b"].factor == 1.0


def test_use_counts_half_after_a_half_life() -> None:
    old, new = use("a", hours=0.01, ago_h=WEEK_S / HOUR_S), use("a", hours=0.01)
    assert decayed(old, NOW_S, WEEK_S) == pytest.approx(decayed(new, NOW_S, WEEK_S) / 2)
    assert decayed(new, NOW_S, WEEK_S) == pytest.approx(0.01 * HOUR_S, rel=1e-3)


def test_a_gpu_is_charged_as_eight_cpus_unless_the_job_has_more() -> None:
    assert charge_of(Request(cpus=2), 3) == 6
    assert charge_of(Request(cpus=2, gpus=1), 1) == 8
    assert charge_of(Request(cpus=2, gpus=1, gpu_share=0.5), 1) == 4
    assert charge_of(Request(cpus=20, gpus=1), 1) == 20


@given(USES)
def test_factors_are_bounded_parts_add_up_and_more_use_never_ranks_higher(uses: list[Use]) -> None:
    found = fair_shares(uses, "ab", NOW_S, WEEK_S)
    assert all(0 < one.factor <= 1 for one in found.values())
    assert sum(one.used for one in found.values()) == pytest.approx(1.0) or all(one.used == 0 for one in found.values())
    in_order = sorted(found.values(), key=lambda one: one.used)
    assert [one.factor for one in in_order] == sorted((one.factor for one in in_order), reverse=True)


@given(USES, st.randoms(use_true_random=False))
def test_neither_the_order_of_jobs_nor_the_unit_of_charge_matters(uses: list[Use], random: Random) -> None:
    shuffled = [replace(one, charge=one.charge * 4) for one in uses]
    random.shuffle(shuffled)
    before, after = (fair_shares(some, "ab", NOW_S, WEEK_S) for some in (uses, shuffled))
    assert {name: one.factor for name, one in after.items()} == pytest.approx(
        {name: one.factor for name, one in before.items()}
    )


@given(USES)
def test_clocks_that_were_set_back_give_no_negative_use(uses: list[Use]) -> None:
    assert all(decayed(one, NOW_S - 1e8, WEEK_S) >= 0 for one in uses)


def test_of_jobs_that_wait_equally_long_the_one_whose_account_used_less_starts() -> None:
    heavy, light = (
        PendingJob(
            job=number, request=Request(cpus=4), candidates=(node("n").node,), submitted_at=NOW, fair_share=points_
        )
        for number, points_ in ((1, 0.25), (2, 1.0))
    )
    chosen = to_start(sweep(node("n")), [heavy, light], {}, lambda _: LEAST, NOW, Random(1))
    assert [job for job, _ in chosen.starts] == [2]
    earlier = replace(heavy, submitted_at=NOW - timedelta(hours=1))
    chosen = to_start(sweep(node("n")), [earlier, light], {}, lambda _: LEAST, NOW, Random(1))
    assert [job for job, _ in chosen.starts] == [1], "a wait as long as the job weighs more than any share"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e6))
def test_a_job_that_waited_its_own_length_longer_is_never_passed_by_a_share(
    ours: float, theirs: float, at_s: float
) -> None:
    waited = QueuedJob(key=1, request=Request(), since_s=at_s, estimate_s=60.0, fair_share=ours)
    later = QueuedJob(key=2, request=Request(), since_s=at_s + 61.0, estimate_s=60.0, fair_share=theirs)
    assert points(waited, at_s + 100) > points(later, at_s + 100)


def test_points_are_told_term_by_term() -> None:
    share = FairShare(used=0.75, share=0.5, factor=0.25)
    assert points_text(priority=2.5, waiting=0.5, weight=2.0, account="lab", share=share) == (
        "3.50 points: 2.5 priority, 0.50 waiting, 0.50 fair share (account lab has 75% of the use, and its share is 50%)"
    )
    assert (
        points_text(priority=0, waiting=0.5, weight=2.0, account="lab", share=None)
        == "0.50 points: 0 priority, 0.50 waiting"
    )
