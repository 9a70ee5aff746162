"""The hours of `report` are those that the kernel and the clock tell: real jobs on real nodes, and samples of leases."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.policy.report.intervals import Columns
from clbalance.policy.report.nodes import account_of
from tests.cli.command import Command
from tests.faults.soak import trials
from tests.policy.report.build import DAY, NODE, leased, point

JOBS = trials(3, 100)
BURN = """
import os, sys
def used():
    fields = open("/proc/self/stat").read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
while used() < float(sys.argv[1]):
    sum(range(20000))
print(used())
"""
_OWN_S = 0.06
"""What /proc does not show of a job: two ticks of rounding, and the end of the interpreter after it has looked."""


def test_cpu_hours_of_jobs_are_what_proc_told_them(clbalance: Command) -> None:
    wanted = [0.3 + number % 5 / 10 for number in range(JOBS)]
    truth = [float(clbalance("run", "--", "python3", "-c", BURN, str(seconds)).text) for seconds in wanted]
    found = json.loads(clbalance("report", "--json").text)
    (user,) = found["users"]
    assert (user["jobs"], found["ended"]) == (JOBS, {"COMPLETED": JOBS})
    assert user["cpu_used_hours"] * 3600 == pytest.approx(sum(truth), rel=0.02, abs=JOBS * _OWN_S)
    shown = json.loads(clbalance("jobs", "--ended", "--json").text)["jobs"]
    assert user["cpu_hours"] * 3600 == pytest.approx(sum(job["seconds"] for job in shown), rel=0.02, abs=JOBS * 0.5)


@given(
    st.lists(st.tuples(st.integers(0, 80_000), st.integers(1, 6000)), min_size=1, max_size=8),
    st.sampled_from([1, 5, 10]),
)
def test_gpu_hours_by_samples_are_within_one_sample_of_the_truth(jobs: list[tuple[int, int]], step: int) -> None:
    times = {f"k{number}": (begin, begin + length) for number, (begin, length) in enumerate(jobs)}
    points = [
        point(
            minute, leases=[leased(key, gpus=1.0) for key, (begin, end) in times.items() if begin <= 60 * minute < end]
        )
        for minute in range(0, int(timedelta(days=1).total_seconds() / 60), step)
    ]
    account = account_of(NODE, points, DAY, Columns.of(DAY, 24))
    for key, (begin, end) in times.items():
        found = account.leases.get((1001, key))
        assert abs((0.0 if found is None else found.gpu_s) - (end - begin)) <= 60 * step
