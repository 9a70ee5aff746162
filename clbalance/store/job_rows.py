"""Rows of the job tables as values, and values as rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from clbalance.errors import StoreError
from clbalance.job import CopyRecord, Intent, JobRecord, JobState, Outcome, Placed, Script, Submitted
from clbalance.model import NodeName, Plan, Qos, Snapshot
from clbalance.nodes import NodeSets, fold
from clbalance.store.job_codec import from_text, to_text

if TYPE_CHECKING:
    from clbalance.task import Task

JOB_COLUMNS = (
    "id, key, name, state, reason, rc, attempt, claim, nodes, submitted_us, started_us, ended_us, controller, qos,"
    " queued, priority"
)
ACTIVE = "state IN ('PENDING', 'RUNNING')"
"""Of a job that is not over, as SQL."""
SETTLED = """
    NOT EXISTS (SELECT 1 FROM copy WHERE copy.job = job.id AND copy.attempt = job.attempt AND copy.outcome IS NULL)
"""
"""Of one none of whose copies may still run."""
CLAIMS_APART = 100
"""Claims are numbered without writing them down before they are granted, and one that was made is never made again."""
LOOKING = "looking for nodes"
STARTING = "being started"
"""A pending job always has a reason."""
_KEPT_NODES = 100  # of the ranked, and of the unfit: who asks why of a thousand nodes does not read further
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """Since 1970, UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def job_record(row: Sequence[Any], is_alive: Callable[[str | None], bool]) -> JobRecord:
    """A row of `JOB_COLUMNS`; `StoreError` where it makes no sense."""
    try:
        return JobRecord(
            id=row[0],
            key=row[1],
            name=row[2],
            state=JobState(row[3]),
            reason=row[4],
            rc=row[5],
            attempt=row[6],
            claim=row[7],
            nodes=expanded(row[8]),
            submitted_at=_time(row[9]) or _EPOCH,
            started_at=_time(row[10]),
            ended_at=_time(row[11]),
            controlled=is_alive(row[12]),
            qos=None if row[13] is None else Qos(row[13]),
            queued=bool(row[14]),
            priority=float(row[15]),
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"job {row[0]} was written by another version, or is damaged: {error}") from error


def copy_record(row: Sequence[Any]) -> CopyRecord:
    """A row of attempt, claim, node, rank, boot_id, birth, outcome, limits."""
    attempt, claim, node, rank, boot_id, birth, outcome, limits = row
    return CopyRecord(
        attempt=attempt,
        claim=claim,
        intent=Intent(node=NodeName(node), rank=rank, boot_id=boot_id, birth=birth),
        outcome=None if outcome is None else from_text(outcome, Outcome),
        limits=() if limits is None else from_text(limits, tuple),
    )


def plan_text(plan: Plan) -> str:
    """What is kept of a plan: not the snapshot, and of long lists their beginning."""
    return to_text((plan.wanted, plan.chosen, plan.ranked[:_KEPT_NODES], plan.unfit[:_KEPT_NODES]))


def placed_record(row: Sequence[Any]) -> Placed:
    """A row of attempt, claim, plan."""
    attempt, claim, text = row
    try:
        wanted, chosen, ranked, unfit = from_text(text, tuple)
    except ValueError as error:
        raise StoreError(f"a remembered plan cannot be read: {error}") from error
    plan = Plan(wanted=wanted, chosen=chosen, ranked=ranked, unfit=unfit, charged=Snapshot(taken_at=_EPOCH, answers=()))
    return Placed(attempt=attempt, claim=claim, plan=plan)


def folded(intents: Sequence[Intent]) -> str:
    """The nodes of an attempt; expanded again they come in the order of their ranks."""
    return fold(one.node for one in sorted(intents, key=lambda one: one.rank))


def expanded(text: str) -> tuple[NodeName, ...]:
    """What `folded` has made."""
    return NodeSets(None).expand(text) if text else ()


def parted(submitted: Submitted) -> tuple[Submitted, bytes | None]:
    """What is asked for at every look at a job, and the content of its script."""
    work = submitted.job.work
    if not isinstance(work, Script):
        return submitted, None
    return replace(submitted, job=replace(submitted.job, work=replace(work, content=None))), work.content


def tasks_text(tasks: Sequence[Task]) -> str:
    """A list of `[number, word, ...]`."""
    return json.dumps([[task.number, *task.words] for task in tasks], separators=(",", ":"))


def tasks_of(text: object) -> tuple[Task, ...]:
    """What `tasks_text` has made; `StoreError` where it makes no sense."""
    from clbalance.task import Task  # for jobs of tasks alone (docs/design/startup.md)

    try:
        return tuple(Task(number=int(number), words=tuple(words)) for number, *words in json.loads(str(text)))
    except (ValueError, TypeError) as error:
        raise StoreError(f"a remembered list of tasks cannot be read: {error}") from error


def over(record: JobRecord, *, state: JobState, reason: str, rc: int, at: datetime) -> JobRecord:
    """The record of a job that has ended so."""
    return replace(record, state=state, reason=reason, rc=rc, ended_at=at, controlled=False, queued=False)


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else _EPOCH + timedelta(microseconds=at_us)
