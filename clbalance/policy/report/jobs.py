"""The jobs of this host in a period, from the journal: what they held and used, how long they waited. Pure.

The journal has the length of every copy, and the start of the last attempt. Earlier attempts are placed one before the
other, the last of them right before that start.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import Submitted
from clbalance.model.job_record import CopyRecord, JobRecord, NotStarted
from clbalance.model.report import Held, JobUse, Part, Period, WaitTimes
from clbalance.policy.queue.replay_metrics import percentile

WAIT_BOUNDS_S: Final = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0)
"""The upper bounds of the bars of waits; the last bar has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """One job as the journal has it."""

    record: JobRecord
    submitted: Submitted | None
    """None: of another version."""
    copies: tuple[CopyRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsAccount:
    """The jobs of a period. `uses`: by their keys."""

    uses: Mapping[str, JobUse] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    active: Mapping[str, int] = field(default_factory=dict)
    restarts: int = 0
    waits: WaitTimes = WaitTimes()


def may_concern(record: JobRecord, period: Period) -> bool:
    """Whether the job may have waited or run in the period; its copies are not looked at."""
    ends = record.ended_at
    # A clock may have been set back: then the end is before the start, and does not say when it ran.
    is_over_before = ends is not None and ends < period.since and ends >= record.submitted_at
    return record.submitted_at < period.until and not is_over_before


def account_of_jobs(
    jobs: Iterable[KnownJob], period: Period, me: str, nodes: frozenset[NodeName] | None = None
) -> JobsAccount:
    """The account of these jobs; `nodes`: only what was on them. `me`: the user of jobs that name no other."""
    uses: dict[str, JobUse] = {}
    ended: Counter[str] = Counter()
    active: Counter[str] = Counter()
    waits: list[float] = []
    restarts = 0
    for job in jobs:
        record = job.record
        if nodes is not None and nodes.isdisjoint((*record.nodes, *(copy.intent.node for copy in job.copies))):
            continue
        if (use := _use_of(job, period, me, nodes)) is not None:
            uses[record.key] = use
        if not record.state.is_over:
            active[record.state.value] += 1
        elif record.ended_at is not None and _is_within(record.ended_at.timestamp(), period):
            ended[record.state.value] += 1
            restarts += max(0, record.attempt - 1)
        waits += _wait(job, period)
    return JobsAccount(uses=uses, ended=ended, active=active, restarts=restarts, waits=wait_times(waits))


def wait_times(waits_s: Sequence[float]) -> WaitTimes:
    """The percentiles (nearest rank) and the bars of these waits."""
    counts = Counter(sum(wait_s >= bound for bound in WAIT_BOUNDS_S) for wait_s in waits_s)
    return WaitTimes(
        jobs=len(waits_s),
        p50_s=percentile(waits_s, 50),
        p95_s=percentile(waits_s, 95),
        counts=tuple(counts[at] for at in range(len(WAIT_BOUNDS_S) + 1)),
    )


def _wait(job: KnownJob, period: Period) -> Iterator[float]:
    """From submission, or from the time before which it was not to start. Of later attempts no first start is known."""
    record = job.record
    if record.started_at is None or record.attempt != 1 or not _is_within(record.started_at.timestamp(), period):
        return
    since = record.submitted_at if record.begin_at is None else max(record.submitted_at, record.begin_at)
    yield max(0.0, (record.started_at - since).total_seconds())


def _is_within(at_s: float, period: Period) -> bool:
    return period.since_s <= at_s < period.until_s


def _use_of(job: KnownJob, period: Period, me: str, nodes: frozenset[NodeName] | None) -> JobUse | None:
    """What the job held in the period; None: nothing, or it is not known what."""
    submitted, record = job.submitted, job.record
    if submitted is None:
        return None
    held: list[Held] = []
    cpu_used = Part()
    request = submitted.request
    for copy, ran_s, share in _runs(job, period):
        if nodes is not None and copy.intent.node not in nodes:
            continue
        cpu_s = request.cpus * ran_s * share
        held.append(Held(node=copy.intent.node, cpu_s=cpu_s, gpu_s=request.gpus * request.gpu_share * ran_s * share))
        usage = None if copy.outcome is None else copy.outcome.usage
        if usage is not None:
            cpu_used += Part(usage.cpu_s * share, cpu_s, known=True)
    if not held:
        return None
    user = submitted.job.user or me
    return JobUse(label=str(record.id), name=record.name, user=user, held=tuple(held), cpu_used=cpu_used)


def _runs(job: KnownJob, period: Period) -> Iterator[tuple[CopyRecord, float, float]]:
    """Each copy that ran, how long, and the share of that time that lies in the period; those with no share are left
    out.
    """
    record = job.record
    attempts: dict[int, list[CopyRecord]] = {}
    for copy in job.copies:
        attempts.setdefault(copy.attempt, []).append(copy)
    start_s = (record.started_at or record.ended_at or period.until).timestamp()
    for attempt in sorted(attempts, reverse=True):
        lengths = [_length_s(copy, record, start_s, period) for copy in attempts[attempt]]
        if attempt != record.attempt or record.started_at is None:
            start_s -= max(lengths)
        for copy, length_s in zip(attempts[attempt], lengths, strict=True):
            inside_s = min(start_s + length_s, period.until_s) - max(start_s, period.since_s)
            if inside_s > 0:
                yield copy, length_s, inside_s / length_s


def _length_s(copy: CopyRecord, record: JobRecord, start_s: float, period: Period) -> float:
    """How long the copy ran, or until now; 0 if that is not known."""
    if copy.outcome is not None:
        return 0.0 if isinstance(copy.outcome.end, NotStarted) else max(0.0, copy.outcome.seconds)
    if copy.attempt != record.attempt or record.started_at is None:
        return 0.0
    end_s = period.until_s if record.ended_at is None else record.ended_at.timestamp()
    return max(0.0, end_s - start_s)
