"""Convert rows of the job tables to values and back. Nested values are JSON that names their classes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from clbalance.errors import StoreError
from clbalance.model import Cause, NodeName, Plan, Qos, Request, Score, Snapshot, Term, Unfit
from clbalance.model.job import Checkpoint, Command, JobSpec, RestartPolicy, Script, Submitted, TaskRules
from clbalance.model.job_files import JobFiles, SentPath
from clbalance.model.job_record import (
    Cancelled,
    CopyRecord,
    Exited,
    FinalUsage,
    Intent,
    JobRecord,
    JobState,
    Killed,
    Lost,
    MigrationRequest,
    MigrationStage,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    Placed,
    TimedOut,
)
from clbalance.model.request import Constraints, Preference
from clbalance.nodeset import NodeSets, fold
from clbalance.policy.jobs.eligibility import begin_reason, held_reason
from clbalance.store.database import storable

if TYPE_CHECKING:
    from clbalance.model.task import Task


JOB_COLUMNS = (
    "id, key, name, state, reason, rc, attempt, claim, nodes, submitted_us, started_us, ended_us, controller, qos,"
    " queued, priority, waits_us, cancelled, held, begin_us, waited_for, engine"
)
ACTIVE = "state IN ('PENDING', 'RUNNING')"
"""SQL condition: the job is not over."""
NO_OPEN_COPY = """
    NOT EXISTS (SELECT 1 FROM copy WHERE copy.job = job.id AND copy.attempt = job.attempt AND copy.outcome IS NULL)
"""
"""SQL condition: no copy of the current attempt may still run."""
CLAIMS_APART = 100
"""The gap that `acquire` leaves: claims are only recorded at a launch, and a claim number is never used twice."""
LOOKING = "looking for nodes"
STARTING = "being started"
"""A pending job always has a reason."""
_KEPT_NODES = 100  # of the ranked, and of the unfit nodes: enough for `explain`
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def job_record(row: Sequence[Any], is_alive: Callable[[str | None], bool]) -> JobRecord:
    """Convert a row of `JOB_COLUMNS`. `StoreError` if it is invalid."""
    try:
        return JobRecord(
            id=row[0],
            key=row[1],
            name=row[2],
            state=JobState(row[3]),
            reason=held_reason(row[18]) if row[18] and row[3] == JobState.PENDING else row[4],
            rc=row[5],
            attempt=row[6],
            claim=row[7],
            nodes=expanded(row[8]),
            submitted_at=_time(row[9]) or _EPOCH,
            started_at=_time(row[10]),
            ended_at=_time(row[11]),
            has_controller=is_alive(row[12]),
            qos=None if row[13] is None else Qos(row[13]),
            queued=bool(row[14]),
            priority=float(row[15]),
            waits_since=_time(row[16]),
            cancel_requested=row[17] or "",
            held=row[18] or "",
            begin_at=_time(row[19]),
            waited_for=row[20],
            engine=row[21],
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"job {row[0]} was written by another version, or is damaged: {error}") from error


def copy_record(row: Sequence[Any]) -> CopyRecord:
    """Convert a row of attempt, claim, node, rank, boot_id, birth, outcome, limits, folder and engine_id.

    `StoreError` if it is invalid.
    """
    attempt, claim, node, rank, boot_id, incarnation, outcome, limits, folder, engine_id = row
    return CopyRecord(
        attempt=attempt,
        claim=claim,
        intent=Intent(node=NodeName(node), rank=rank, boot_id=boot_id, incarnation=incarnation, folder=folder),
        outcome=None if outcome is None else from_text(outcome, Outcome),
        limits=() if limits is None else from_text(limits, tuple),
        engine_id=engine_id,
    )


INSERT_COPY = """
    INSERT INTO copy (job, attempt, claim, rank, node, boot_id, birth, folder) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def copy_row(job: int, attempt: int, claim: int, intent: Intent) -> tuple[object, ...]:
    """The values of `INSERT_COPY` for a launch."""
    where = (intent.rank, intent.node, intent.boot_id, intent.incarnation, storable(intent.folder))
    return (job, attempt, claim, *where)


def plan_text(plan: Plan) -> str:
    """The plan as it is stored: without the snapshot, and with the beginning of long lists only."""
    aside = (plan.set_aside[:_KEPT_NODES],) if plan.set_aside else ()
    return to_text((plan.wanted, plan.chosen, plan.ranked[:_KEPT_NODES], plan.unfit[:_KEPT_NODES], *aside))


def placed_record(row: Sequence[Any]) -> Placed:
    """Convert a row of attempt, claim, plan. `StoreError` if it is invalid."""
    attempt, claim, text = row
    try:
        wanted, chosen, ranked, unfit, *aside = from_text(text, tuple)
        (set_aside,) = aside or [()]
    except ValueError as error:
        raise StoreError(f"a remembered plan cannot be read: {error}") from error
    plan = Plan(
        wanted=wanted,
        chosen=chosen,
        ranked=ranked,
        unfit=unfit,
        charged=Snapshot(taken_at=_EPOCH, answers=()),
        set_aside=set_aside,
    )
    return Placed(attempt=attempt, claim=claim, plan=plan)


def folded(intents: Sequence[Intent]) -> str:
    """The nodes of an attempt as a folded set. `expanded` returns them in the order of their ranks."""
    return fold(one.node for one in sorted(intents, key=lambda one: one.rank))


def expanded(text: str) -> tuple[NodeName, ...]:
    """The nodes in a text of `folded`."""
    return NodeSets(None).expand(text) if text else ()


def parted(submitted: Submitted) -> tuple[Submitted, bytes | None]:
    """Split off the content of the script, which is not needed each time that a job is read."""
    work = submitted.job.payload
    if not isinstance(work, Script):
        return submitted, None
    return replace(submitted, job=replace(submitted.job, payload=replace(work, content=None))), work.content


def tasks_text(tasks: Sequence[Task]) -> str:
    """The tasks as a JSON list of `[number, word, ...]`."""
    return json.dumps([[task.number, *task.words] for task in tasks], separators=(",", ":"))


def tasks_of(text: object) -> tuple[Task, ...]:
    """The tasks in a text of `tasks_text`. `StoreError` if it is invalid."""
    from clbalance.model.task import Task  # only for task jobs (docs/design/startup.md)

    try:
        return tuple(Task(number=int(number), words=tuple(words)) for number, *words in json.loads(str(text)))
    except (ValueError, TypeError) as error:
        raise StoreError(f"a remembered list of tasks cannot be read: {error}") from error


def begin_of(submitted: Submitted) -> tuple[datetime | None, str]:
    """When a new job may begin, and its first pending reason."""
    if submitted.begin_at_s is None:
        return None, LOOKING
    begin_at = _EPOCH + timedelta(seconds=submitted.begin_at_s)
    return begin_at, begin_reason(begin_at)


def ended_record(record: JobRecord, *, state: JobState, reason: str, rc: int, at: datetime) -> JobRecord:
    """The record of a job that has ended so."""
    return replace(record, state=state, reason=reason, rc=rc, ended_at=at, has_controller=False, queued=False)


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else _EPOCH + timedelta(microseconds=at_us)


# Our frozen values as JSON text and back, without a library that would add 40 ms to the start-up.
#
# A value is an object that names its class; tuples are lists. The names belong to the file format, and stay when a
# class or a field is renamed in the code. A field that a later version has added is an error; one that an earlier
# version did not have takes its default.

_CLASSES: dict[str, type] = {
    "Cancelled": Cancelled,
    "Checkpoint": Checkpoint,
    "Command": Command,
    "Constraints": Constraints,
    "Exited": Exited,
    "FinalUsage": FinalUsage,
    "JobFiles": JobFiles,
    "JobSpec": JobSpec,
    "Killed": Killed,
    "Lost": Lost,
    "MoveOrder": MigrationRequest,
    "NodeFailed": NodeFailed,
    "NotStarted": NotStarted,
    "OutOfMemory": OutOfMemory,
    "Outcome": Outcome,
    "Preference": Preference,
    "Request": Request,
    "Score": Score,
    "Script": Script,
    "SentPath": SentPath,
    "Submitted": Submitted,
    "TaskRules": TaskRules,
    "Term": Term,
    "TimedOut": TimedOut,
    "Tries": RestartPolicy,
    "Unfit": Unfit,
}
"""By their names in the file. These stay as they are: a released program reads the files of this one."""
_NAMES = {kind: name for name, kind in _CLASSES.items()}
_FIELDS: dict[str, dict[str, str]] = {
    "Cancelled": {"reason": "why"},
    "JobSpec": {"payload": "work"},
    "Lost": {"reason": "why"},
    "MoveOrder": {"abort_reason": "told", "reason": "why", "requested_at_s": "asked_at_s"},
    "NodeFailed": {"reason": "why"},
    "NotStarted": {"reason": "why"},
    "Submitted": {"restart_policy": "tries"},
    "Term": {"source": "told"},
}
"""Fields with another name in the file than in the code, by the class's name in the file."""
_ATTRIBUTES = {name: {written: field for field, written in known.items()} for name, known in _FIELDS.items()}
_STAGES = {"ASKED": MigrationStage.REQUESTED, "MEANT": MigrationStage.COMMITTED, "OFF": MigrationStage.ABORTED}
_STAGE_NAMES = {stage: name for name, stage in _STAGES.items()}
_Value = TypeVar("_Value")


def to_text(value: object) -> str:
    """`value` as ASCII JSON."""
    return json.dumps(_packed(value), separators=(",", ":"))


def from_text(text: object, kind: type[_Value]) -> _Value:
    """The value in `text`. `StoreError` if it is not a valid value of class `kind`."""
    try:
        value = _unpacked(json.loads(text))  # type: ignore[arg-type]  # a value that is no text fails like text that is no JSON
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise StoreError(f"a remembered {kind.__name__} cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise StoreError(f"a remembered {kind.__name__} cannot be read: it is a {type(value).__name__}")
    return value


def _packed(value: object) -> object:  # noqa: PLR0911 - one return for each kind of value
    if is_dataclass(value) and not isinstance(value, type):
        name = _NAMES[type(value)]
        written = _FIELDS.get(name, {})
        content = {written.get(one.name, one.name): _packed(getattr(value, one.name)) for one in fields(value)}
        return {"is": name, **content}
    match value:
        case Cause():
            return {"cause": value.name}
        case MigrationStage():
            return {"stage": _STAGE_NAMES[value]}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case frozenset():
            return {"set": [_packed(one) for one in sorted(value)]}
        case tuple() | list():
            return [_packed(one) for one in value]
        case Mapping():
            return {"map": {str(key): _packed(one) for key, one in value.items()}}
        case _:
            return value


def _unpacked(packed: Any) -> object:  # noqa: PLR0911 - one return for each kind of value
    match packed:
        case list():
            return tuple(_unpacked(one) for one in packed)
        case {"is": str() as name, **rest}:
            known = _ATTRIBUTES.get(name, {})
            return _CLASSES[name](**{known.get(str(field), str(field)): _unpacked(one) for field, one in rest.items()})
        case {"cause": name}:
            return Cause[name]
        case {"stage": name}:
            return _STAGES[name]
        case {"bytes": text}:
            return base64.b64decode(text, validate=True)
        case {"set": [*members]}:
            return frozenset(_unpacked(one) for one in members)
        case {"map": dict() as content}:
            return {key: _unpacked(one) for key, one in content.items()}
        case dict():
            raise ValueError(f"an object with {', '.join(sorted(packed)[:3])}")
        case _:
            return packed
