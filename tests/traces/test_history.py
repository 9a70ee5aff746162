"""What a submit host remembers, as a trace; and the nodes of a sweep as if nothing were on them."""

from datetime import UTC, datetime, timedelta

from clbalance.model import Measured, NodeName, Request
from clbalance.model.job import Command, JobSpec, Submitted
from clbalance.model.job_record import JobRecord, JobState
from clbalance.trace.history import history_trace, history_until
from clbalance.trace.nodes import emptied
from tests.policy.build import gpu, lease, node, silent, sweep

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def record(
    number: int,
    *,
    submit: float = 0.0,
    start: float | None = 1.0,
    end: float | None = 61.0,
    nodes: tuple[str, ...] = ("n1",),
) -> JobRecord:
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else T0 + timedelta(seconds=seconds)

    return JobRecord(
        id=number,
        key="k",
        name="j",
        state=JobState.COMPLETED,
        reason="",
        rc=0,
        attempt=1,
        claim=1,
        nodes=tuple(map(NodeName, nodes)),
        submitted_at=T0 + timedelta(seconds=submit),
        started_at=at(start),
        ended_at=at(end),
        has_controller=False,
    )


def submitted(*, limit_s: float | None = None) -> Submitted:
    spec = JobSpec(
        id=1,
        key="k",
        name="j",
        payload=Command(argv=("true",)),
        chdir="/",
        chdir_explicit=False,
        umask=18,
        time_limit_s=limit_s,
    )
    request = Request(pick=None, cpus=2.0, needs_python=True, excluded=frozenset({NodeName("n9")}))
    return Submitted(job=spec, request=request, candidates=(NodeName("n1"),))


def test_a_job_is_asked_for_again_as_it_was_and_takes_as_long() -> None:
    trace = history_trace(
        [
            (record(2, submit=30.0, start=40.0, end=45.0, nodes=("a", "b")), submitted(limit_s=60.0)),
            (record(1), submitted()),
        ]
    )
    first, second = trace.arrivals
    assert (first.job, first.submit_s, first.duration_s, first.estimate_s) == ("1", 0.0, 60.0, 60.0)
    assert (second.job, second.submit_s, second.duration_s, second.estimate_s) == ("2", 30.0, 5.0, 60.0)
    assert second.request == Request(pick=2, cpus=2.0)


def test_one_that_runs_never_ends_and_a_clock_may_have_been_set_back() -> None:
    trace = history_trace([(record(1, end=None), submitted()), (record(2, start=9.0, end=3.0), submitted())])
    assert [one.duration_s for one in trace.arrivals] == [None, 0.0]


def test_those_that_never_started_are_left_out_and_counted() -> None:
    trace = history_trace([(record(1, start=None), submitted()), (record(2, nodes=()), submitted()), (record(3), None)])
    assert trace.arrivals == ()
    assert trace.remarks == ("1 job that cannot be read any more left out", "2 jobs that never started left out")


def test_a_history_ends_at_an_instant_whatever_has_come_since() -> None:
    day = timedelta(days=1)
    jobs = [
        (record(1, submit=-9e5), submitted()),  # too old
        (record(2, submit=0.0, start=10.0, end=40.0), submitted()),
        (record(3, submit=20.0, start=30.0, end=90.0), submitted()),  # still ran
        (record(4, submit=25.0, start=70.0), submitted()),  # had not started
        (record(5, submit=80.0, start=81.0), submitted()),  # from the future: the clock was set back
    ]
    trace, until_s = history_until(jobs, T0 - day, T0 + timedelta(seconds=60))
    assert [(one.job, one.submit_s, one.duration_s) for one in trace.arrivals] == [("2", 0.0, 30.0), ("3", 20.0, None)]
    assert until_s == 60.0


def test_a_history_without_jobs_is_empty() -> None:
    trace, until_s = history_until([], T0, T0)
    assert (trace.arrivals, until_s) == ((), 0.0)


def test_nodes_of_a_sweep_are_taken_as_if_nothing_were_on_them() -> None:
    found = emptied(
        sweep(
            silent("down"),
            node("unknown", mem=None),
            node("n", r1m=9.0, mem=1.0, leases=(lease(cpus=4.0),), gpus=(gpu(used=70, held=True),), slots=3),
            node("nogpus", gpus=None),
        )
    )
    busy, plain = found.answers
    assert isinstance(busy, Measured)
    assert isinstance(plain, Measured)
    assert (busy.node, busy.slots, busy.reading.leases) == ("n", 3, ())
    assert busy.reading.memory == plain.reading.memory
    assert isinstance(busy.reading.gpus, tuple)
    assert (busy.reading.gpus[0].mem_used_bytes, busy.reading.gpus[0].processes) == (0, ())
    assert plain.reading.gpus == ()
