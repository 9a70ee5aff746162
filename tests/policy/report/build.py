"""A case language: points of history, jobs, and a report of them, one line each. Times are minutes of one day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from clbalance.model import Cause, NodeName, Request
from clbalance.model.job import Command, JobSpec, Submitted
from clbalance.model.job_record import (
    CopyRecord,
    End,
    Exited,
    FinalUsage,
    Intent,
    JobRecord,
    JobState,
    Lost,
    Outcome,
)
from clbalance.model.node_history import Aggregate, LeasedUse, SeriesPoint
from clbalance.model.report import Period, PeriodReport
from clbalance.nodeset import fold
from clbalance.policy.report.intervals import Columns
from clbalance.policy.report.jobs import KnownJob, account_of_jobs
from clbalance.policy.report.nodes import account_of
from clbalance.policy.report.prices import PriceTable
from clbalance.policy.report.report import Surroundings, report_of

START = datetime(2026, 3, 2, tzinfo=UTC)
START_S = int(START.timestamp())
DAY = Period(since=START, until=START + timedelta(days=1))
NODE, OTHER = NodeName("a"), NodeName("b")
UNKNOWN_END = Lost(cause=Cause.TIMEOUT, reason="")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def point(
    minutes: float,
    *,
    span_s: int = 60,
    asked: int = 1,
    silent: int = 0,
    parts: int = 1,
    gpus: Mapping[int, Mapping[str, float]] | None = None,
    leases: Sequence[LeasedUse] = (),
    **values: float,
) -> SeriesPoint:
    """A sample of a node of four cpus, unless `cpus` says otherwise; a negative one is not known."""
    known = {"cpus": 4.0, **values}
    return SeriesPoint(
        at_s=START_S + round(60 * minutes),
        span_s=span_s,
        asked=asked,
        silent=silent,
        parts=parts,
        values={key: _same(value) for key, value in known.items() if value >= 0 and silent < asked},
        gpus={number: {key: _same(one) for key, one in found.items()} for number, found in (gpus or {}).items()},
        leases=tuple(leases),
    )


def _same(value: float) -> Aggregate:
    return Aggregate(value, value, value)


def leased(key: str = "k1", uid: int = 1001, cpus: float = 1.0, gpus: float = 0.0, **more: float) -> LeasedUse:
    return LeasedUse(key=key, uid=uid, cpus=cpus, gpus=gpus, **more)


def copy(
    seconds: float | None,
    *,
    attempt: int = 1,
    rank: int = 0,
    node: NodeName = NODE,
    cpu_s: float | None = None,
    end: End | None = None,
) -> CopyRecord:
    """A copy that ran so long; None: no end is known."""
    usage = None if cpu_s is None else FinalUsage(user_s=cpu_s, system_s=0.0, max_rss_bytes=0)
    outcome = (
        None
        if seconds is None
        else Outcome(node=node, rank=rank, end=end or Exited(rc=0), seconds=seconds, usage=usage)
    )
    intent = Intent(node=node, rank=rank, boot_id="b", incarnation="i")
    return CopyRecord(attempt=attempt, claim=attempt, intent=intent, outcome=outcome)


def job(
    *copies: CopyRecord,
    number: int = 1,
    submitted: float = 0.0,
    started: float | None = 0.0,
    ended: float | None = None,
    state: JobState | None = None,
    cpus: float = 1.0,
    gpus: int = 0,
    user: str | None = None,
    key: str = "",
    begin: float | None = None,
) -> KnownJob:
    over = JobState.RUNNING if ended is None else JobState.COMPLETED
    record = JobRecord(
        id=number,
        key=key or f"k{number}",
        name="work",
        state=state or over,
        reason="",
        rc=None,
        attempt=max((one.attempt for one in copies), default=1),
        claim=1,
        nodes=tuple(one.intent.node for one in copies),
        submitted_at=at(submitted),
        started_at=None if started is None else at(started),
        ended_at=None if ended is None else at(ended),
        has_controller=False,
        begin_at=None if begin is None else at(begin),
    )
    spec = JobSpec(
        id=number, key=record.key, name="work", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False,
        umask=0, user=user,
    )  # fmt: skip
    what = Submitted(job=spec, request=Request(cpus=cpus, gpus=gpus), candidates=(NODE,))
    return KnownJob(record=record, submitted=what, copies=copies)


def report(
    points: Mapping[NodeName, Sequence[SeriesPoint]],
    jobs: Sequence[KnownJob] = (),
    *,
    period: Period = DAY,
    prices: PriceTable | None = None,
    groups: Sequence[tuple[str, Sequence[NodeName]]] = (),
) -> PeriodReport:
    columns = Columns.of(period, 24)
    accounts = {node: account_of(node, found, period, columns) for node, found in points.items()}
    around = Surroundings(
        prices=prices or PriceTable(),
        user_name=lambda uid: f"u{uid}",
        fold=fold,
        own_keys=frozenset(one.record.key for one in jobs),
    )
    return report_of(period, accounts, groups, account_of_jobs(jobs, period, "me"), around)
