"""What a job used, held against what it asked for."""

from clbalance.model import NodeName, Request
from clbalance.model.job_record import Exited, FinalUsage, Outcome, Usage
from clbalance.policy.jobs.usage import JobUsage, usage_in_all, usage_so_far

GIB = 1 << 30


def copy(seconds: float, usage: FinalUsage | None) -> Outcome:
    return Outcome(node=NodeName("n"), rank=0, end=Exited(rc=0), seconds=seconds, usage=usage)


def test_cpu_time_adds_up_over_copies_and_the_peak_is_the_highest() -> None:
    outcomes = [
        copy(10.0, FinalUsage(user_s=10.0, system_s=5.0, max_rss_bytes=GIB)),
        copy(10.0, FinalUsage(user_s=5.0, system_s=0.0, max_rss_bytes=2 * GIB)),
    ]
    assert usage_in_all(Request(cpus=2.0, mem_bytes=4 * GIB), outcomes) == JobUsage(
        cpu_s=20.0, max_rss_bytes=2 * GIB, cpu_share=0.5, mem_share=0.5
    )


def test_what_is_not_known_is_left_out_and_never_zero() -> None:
    known = copy(10.0, FinalUsage(user_s=5.0, system_s=0.0, max_rss_bytes=GIB))
    assert usage_in_all(Request(), [copy(10.0, None)]) == JobUsage()
    assert usage_in_all(Request(), [known, copy(99.0, None)]).cpu_share == 0.5
    assert usage_so_far(Request(), None, copies=1, seconds=1.0) == JobUsage()


def test_without_a_request_there_is_no_share() -> None:
    known = copy(0.0, FinalUsage(user_s=5.0, system_s=0.0, max_rss_bytes=GIB))
    for request in (None, Request(cpus=0.0), Request(cpus=1.0)):
        assert usage_in_all(request, [known]) == JobUsage(cpu_s=5.0, max_rss_bytes=GIB)


def test_a_running_job_is_held_against_all_of_its_copies() -> None:
    so_far = usage_so_far(Request(cpus=2.0, mem_bytes=GIB), Usage(cpu_s=30.0, mem_bytes=GIB), copies=2, seconds=15.0)
    assert so_far == JobUsage(cpu_s=30.0, mem_bytes=GIB, cpu_share=0.5, mem_share=0.5)
