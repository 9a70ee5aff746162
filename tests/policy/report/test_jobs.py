"""What jobs held and used, by the journal: exactly, within the period, whatever the clock did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.job_record import JobState, NotStarted
from clbalance.model.report import Period
from clbalance.policy.report.jobs import WAIT_BOUNDS_S, KnownJob, account_of_jobs, may_concern, wait_times
from tests.policy.report.build import DAY, NODE, OTHER, UNKNOWN_END, copy, job, leased, point, report

HOUR_S = 3600.0


def held(one: KnownJob, period: Period = DAY) -> tuple[float, float, float | None]:
    """Cpu-seconds, GPU-seconds and cpu time."""
    use = account_of_jobs([one], period, "me").uses.get(one.record.key)
    return (0.0, 0.0, None) if use is None else (use.cpu_s, use.gpu_s, use.cpu_used.value)


def test_a_job_holds_what_it_asked_for_as_long_as_each_copy_ran() -> None:
    done = job(copy(600, cpu_s=900), copy(300, rank=1, node=OTHER, cpu_s=100), cpus=2, gpus=1, ended=11)
    assert held(done) == (1800.0, 900.0, 1000.0)


def test_a_job_over_midnight_counts_by_the_share_inside() -> None:
    assert held(job(copy(HOUR_S, cpu_s=100), started=-45, submitted=-50, ended=15)) == (900.0, 0.0, 25.0)
    assert held(job(copy(HOUR_S, cpu_s=100), started=-90, submitted=-90, ended=-30)) == (0.0, 0.0, None)


def test_a_job_that_runs_holds_until_the_end_of_the_period_and_its_use_is_not_known() -> None:
    assert held(job(copy(None), started=23 * 60)) == (HOUR_S, 0.0, None)


def test_a_copy_without_a_known_end_holds_until_the_end_of_its_job() -> None:
    lost = job(copy(None), ended=10, state=JobState.NODE_FAIL)
    assert held(lost) == (600.0, 0.0, None)


def test_a_copy_that_never_started_holds_nothing() -> None:
    never = NotStarted(reason="")
    assert held(job(copy(0, end=never), ended=10)) == (0.0, 0.0, None)


def test_earlier_attempts_count_with_their_lengths_before_the_last_start() -> None:
    again = job(copy(600, cpu_s=1), copy(1200, attempt=2, cpu_s=2), copy(60, attempt=3), started=60, ended=61)
    assert held(again) == (1860.0, 0.0, 3.0)
    assert account_of_jobs([again], DAY, "me").restarts == 2


def test_attempts_before_the_period_are_left_out() -> None:
    again = job(copy(600, cpu_s=1), copy(60, attempt=2), started=5, submitted=-20, ended=6)
    assert held(again) == (300.0 + 60.0, 0.0, 0.5)


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    odd = job(copy(60, cpu_s=9), submitted=30, started=20, ended=10)
    assert held(odd) == (60.0, 0.0, 9.0)
    account = account_of_jobs([odd], DAY, "me")
    assert account.waits.p95_s == 0.0
    assert may_concern(odd.record, DAY)


def test_of_a_job_of_another_version_only_the_state_counts() -> None:
    known = job(copy(60), ended=1)
    account = account_of_jobs([KnownJob(record=known.record, submitted=None, copies=known.copies)], DAY, "me")
    assert (dict(account.uses), account.ended) == ({}, {"COMPLETED": 1})


def test_states_are_counted_of_jobs_that_ended_in_the_period_and_of_those_that_have_not() -> None:
    jobs = [
        job(copy(1), number=1, ended=1),
        job(copy(1), number=2, ended=2, state=JobState.FAILED),
        job(copy(1), number=3, started=-9, submitted=-9, ended=-1),
        job(copy(None), number=4),
        job(number=5, started=None, state=JobState.PENDING),
    ]
    account = account_of_jobs(jobs, DAY, "me")
    assert account.ended == {"COMPLETED": 1, "FAILED": 1}
    assert account.active == {"RUNNING": 1, "PENDING": 1}


def test_only_jobs_that_may_have_run_in_the_period_are_looked_at() -> None:
    assert not may_concern(job(started=-9, submitted=-9, ended=-1).record, DAY)
    assert not may_concern(job(submitted=25 * 60, started=None).record, DAY)
    assert may_concern(job(submitted=-9999, started=-9999).record, DAY)


def test_a_wait_is_from_submission_or_begin_to_the_first_start_in_the_period() -> None:
    jobs = [
        job(copy(1), number=1, submitted=-10, started=5, ended=6),
        job(copy(1), number=2, submitted=0, begin=30, started=31, ended=32),
        job(copy(1), copy(1, attempt=2), number=3, submitted=0, started=600, ended=601),
        job(copy(1), number=4, submitted=-10, started=-5, ended=1),
    ]
    waits = account_of_jobs(jobs, DAY, "me").waits
    assert (waits.jobs, waits.p50_s, waits.p95_s) == (2, 60.0, 900.0)


def test_waits_are_percentiles_and_bars() -> None:
    found = wait_times([0.0, 1.0, 59.0, 1e9])
    assert (found.p50_s, found.p95_s) == (1.0, 1e9)
    assert found.counts == (1, 1, 1, 0, 0, 0, 0, 1)
    assert wait_times([]).p50_s is None
    assert len(found.counts) == len(WAIT_BOUNDS_S) + 1


def test_with_nodes_named_only_what_was_on_them_counts() -> None:
    both = job(copy(60, cpu_s=1), copy(60, rank=1, node=OTHER, cpu_s=2), number=1, ended=1)
    elsewhere = job(copy(60, node=OTHER), number=2, ended=1, state=JobState.FAILED)
    account = account_of_jobs([both, elsewhere], DAY, "me", frozenset({NODE}))
    assert account.uses["k1"].cpu_s == 60.0
    assert account.uses["k1"].cpu_used.value == 1.0
    assert account.ended == {"COMPLETED": 1}


def test_a_job_of_this_host_is_not_counted_by_its_leases_as_well() -> None:
    mine = leased("k1", gpus=1.0, gpus_known=1.0, gpus_used=0.25, gpus_idle=0.5)
    found = report({NODE: [point(0, leases=[mine])]}, [job(copy(300, cpu_s=30), gpus=1, ended=5)])
    (me,) = found.users
    assert (me.user, me.jobs, me.gpu_s, me.cpu_used.pct) == ("me", 1, 300.0, 10.0)
    assert (me.gpu_used.value, me.gpu_idle.value) == (75.0, 150.0), "the share of the samples, of the exact time"


def test_a_job_of_this_host_before_the_period_is_nobody_elses_either() -> None:
    found = report({NODE: [point(0, leases=[leased("k1")])]}, [job(number=1, started=-9, submitted=-9, ended=-1)])
    assert found.users == ()


def test_the_user_is_the_one_who_was_logged_in_as() -> None:
    found = report({}, [job(copy(60), user="alice", ended=1)])
    assert [user.user for user in found.users] == ["alice"]


def test_those_who_waste_most_come_first_and_those_who_waste_nothing_not_at_all() -> None:
    jobs = [
        job(copy(HOUR_S, cpu_s=HOUR_S), number=1, ended=60),
        job(copy(HOUR_S, cpu_s=0), number=2, cpus=2, ended=60),
        job(copy(HOUR_S, cpu_s=0), number=3, cpus=8, ended=60),
        job(copy(HOUR_S), number=4, cpus=64, ended=60, state=JobState.NODE_FAIL),
        *(job(copy(HOUR_S, cpu_s=0), number=number, ended=60) for number in range(5, 10)),
    ]
    found = report({NODE: [point(0)]}, jobs)
    assert [one.label for one in found.wasters] == ["3", "2", "5", "6", "7"], "what is not known is no waste"


def test_an_idle_gpu_is_worth_the_cpus_that_the_nodes_have_for_each() -> None:
    idle = leased("g", uid=7, gpus=1.0, gpus_known=1.0, gpus_idle=1.0)
    points = [point(minute, cpus=32, leases=[idle], gpus={0: {}, 1: {}}) for minute in (0, 5, 10)]
    jobs = [
        job(copy(1200, cpu_s=0), number=1, cpus=15, ended=20),
        job(copy(1200, cpu_s=0), number=2, cpus=17, ended=20),
    ]
    found = report({NODE: points}, jobs)
    assert [one.label for one in found.wasters] == ["2", "u7/g", "1"]


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.integers(1, 3)), min_size=1, max_size=5),
    st.floats(-2000, 2000),
    st.floats(-3000, 3000),
)
def test_no_job_holds_more_than_it_ran_nor_more_than_the_period(
    runs: list[tuple[float, int]], started: float, ended: float
) -> None:
    done = job(*(copy(seconds, attempt=number) for seconds, number in runs), started=started, ended=ended)
    cpu_s, _, _ = held(done)
    assert -1e-6 <= cpu_s <= sum(seconds for seconds, _ in runs) + 1e-3
    assert cpu_s <= len(runs) * DAY.seconds + 1e-3


def test_a_node_that_is_lost_sight_of_is_no_end() -> None:
    assert held(job(copy(120, end=UNKNOWN_END), ended=10))[0] == pytest.approx(120.0)
