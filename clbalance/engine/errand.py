"""One move of a plan under way, and what may come of it."""

from typing import Protocol, TypeAlias

from clbalance.job import JobRecord, JobState
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.settling import is_queued


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMove:
    """A job that is to go from `src` to `dst`, and why."""

    job: int
    src: NodeName
    dst: NodeName
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """It runs on `node` now: where it was to go, or where it found a place when that was lost."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMoved:
    """It runs on where it was, or is over; or it was never ours to move."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """How it stands is not known now, or it waits for a place: the next `rebalance` sees to it."""

    why: str


MoveEnd: TypeAlias = Moved | NotMoved | Unsettled


def end_by_record(record: JobRecord | None, attempt: int) -> MoveEnd | None:
    """What its record says of the move of that attempt; None where it says nothing yet."""
    if record is None:
        return Unsettled(why="it is not remembered any more")
    if record.state.is_over:
        return NotMoved(why=f"it is {record.state}" + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        return Unsettled(why=f"it waits: {record.reason}")
    is_started = record.attempt > attempt and record.state is JobState.RUNNING
    return Moved(node=record.nodes[0]) if is_started else None


class Errand(Protocol):
    """Looked at again and again until it has an end."""

    def look(self) -> MoveEnd | None:
        """Do what has fallen due; the end, once there is one."""
        ...

    def hurry(self) -> None:
        """We are told to stop: what has not reached the job is called off."""
        ...

    def leave(self) -> MoveEnd:
        """We stop: the job goes on without us."""
        ...
