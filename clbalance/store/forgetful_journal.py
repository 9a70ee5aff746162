"""A journal that remembers nothing beyond this process: where the real one cannot be opened, a job can still be run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from clbalance.job import CopyRecord, Intent, JobRecord, JobState, Outcome, Placed, Submitted
from clbalance.model import Plan
from clbalance.store.job_codec import from_text, to_text
from clbalance.store.job_rows import over, placed_record, plan_text


@dataclass(slots=True)
class _Job:
    record: JobRecord
    submitted: str
    """As text, so that no more is kept here than there."""
    copies: list[CopyRecord] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    cancelled: bool = False


class ForgetfulJournal:
    """`ports.Journal` of one process. Its numbers start at 1 each time."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Job] = {}

    def submit(self, at: datetime, submitted: Submitted) -> int:
        number = len(self._jobs) + 1
        record = JobRecord(
            id=number,
            key=submitted.job.key,
            name=submitted.job.name,
            state=JobState.PENDING,
            reason="",
            rc=None,
            attempt=1,
            claim=0,
            nodes=(),
            submitted_at=at,
            started_at=None,
            ended_at=None,
            controlled=True,
        )
        self._jobs[number] = _Job(record, to_text(submitted))
        return number

    def intend(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        one = self._jobs[job]
        if one.cancelled or one.record.state.is_over:
            return False
        nodes = tuple(intent.node for intent in sorted(intents, key=lambda intent: intent.rank))
        one.record = replace(one.record, attempt=attempt, claim=claim, nodes=nodes)
        one.copies += [CopyRecord(attempt=attempt, claim=claim, intent=intent, outcome=None) for intent in intents]
        one.placed.append(placed_record((attempt, claim, plan_text(plan))))
        return True

    def started(self, job: int, at: datetime) -> None:
        record = self._jobs[job].record
        if not record.state.is_over:
            begun = record.started_at or at
            self._jobs[job].record = replace(record, state=JobState.RUNNING, reason="", started_at=begun)

    def ended(self, job: int, claim: int, outcome: Outcome) -> None:
        copies = self._jobs[job].copies
        for at, copy in enumerate(copies):
            if (copy.claim, copy.intent.rank, copy.outcome) == (claim, outcome.rank, None):
                copies[at] = replace(copy, outcome=outcome)

    def conclude(self, job: int, at: datetime, *, state: JobState, reason: str, rc: int) -> None:
        record = self._jobs[job].record
        if not record.state.is_over:
            self._jobs[job].record = over(record, state=state, reason=reason, rc=rc, at=at)

    def keep_results(self, job: int, sets: Mapping[str, str]) -> None:
        """Nowhere."""

    def pend(self, job: int, reason: str) -> bool:
        one = self._jobs[job]
        if one.cancelled or one.record.state.is_over:
            return False
        one.record = replace(one.record, state=JobState.PENDING, reason=reason)
        return True

    def let_go(self, job: int) -> None:
        self._jobs[job].record = replace(self._jobs[job].record, controlled=False)

    def take(self, job: int) -> bool:
        if job not in self._jobs:
            return False
        one = self._jobs[job]
        state = JobState.PENDING if one.record.state.is_over else one.record.state
        one.record = replace(one.record, state=state, rc=None, ended_at=None, controlled=True)
        one.cancelled = False
        return True

    def cancel(self, job: int, reason: str) -> None:
        del reason
        self._jobs[job].cancelled = not self._jobs[job].record.state.is_over

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        found = [one.record for one in self._jobs.values() if over or not one.record.state.is_over]
        return tuple(found[-newest:])

    def record(self, job: int) -> JobRecord | None:
        return self._jobs[job].record if job in self._jobs else None

    def copies(self, job: int) -> tuple[CopyRecord, ...]:
        found = self._jobs[job].copies if job in self._jobs else []
        return tuple(sorted(found, key=lambda copy: (copy.claim, copy.intent.rank)))

    def submitted(self, job: int) -> Submitted | None:
        return from_text(self._jobs[job].submitted, Submitted) if job in self._jobs else None

    def placed(self, job: int) -> tuple[Placed, ...]:
        return tuple(self._jobs[job].placed) if job in self._jobs else ()
