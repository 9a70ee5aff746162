"""A move of a plan that the job's controller carries out: the order in the journal, and what may come of it."""

from typing import Protocol, TypeAlias

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState, MoveOrder, MoveStage
from clbalance.policy.jobs.record import is_queued

# One move of a plan under way, and what may come of it.


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


_HEEDED_WITHIN_S = 30.0  # beyond the time that the target has to answer: who has the job in hand may be busy
_STARTED_WITHIN_S = 60.0  # beyond that, and the grace
_REQUEUE_GRACE_S = 5.0
_NOBODY_WAITS = "nobody waits for it any more"


def begin_asked(
    services: Services, move: AskedMove, order: MoveOrder, restart_policy: RestartPolicy
) -> Errand | NotMoved:
    """Ask who has the job in hand."""
    if not services.journal.ask_move(move.job, order):
        return NotMoved(why="another move or a cancel of it is under way")
    return AskedErrand(services, move, order, restart_policy)


class AskedErrand:
    """Seen through the journal alone."""

    def __init__(self, services: Services, move: AskedMove, order: MoveOrder, restart_policy: RestartPolicy) -> None:
        self._services = services
        self._move = move
        self._order = order
        grace_s = _REQUEUE_GRACE_S if restart_policy.checkpoint is None else restart_policy.checkpoint.grace_s
        now = services.clock.monotonic()
        self._heeded_by = now + _HEEDED_WITHIN_S + 2 * services.answer_within_s
        self._done_by = self._heeded_by + _STARTED_WITHIN_S + grace_s

    def look(self) -> MoveEnd | None:
        """By its record, and by what has become of the order."""
        journal, job, attempt = self._services.journal, self._move.job, self._order.attempt
        record = journal.record(job)
        end = end_by_record(record, attempt)
        if end is not None:
            return end
        if record is not None and not record.has_controller:  # looked at again: its last word may be younger
            return end_by_record(journal.record(job), attempt) or self.leave("who had it in hand died")
        known = journal.move_of(job)
        if known is not None and known.attempt == attempt and known.stage is MoveStage.OFF:
            return NotMoved(why=known.told)
        return self._late()

    def hurry(self) -> None:
        """Nobody waits for the answer any more."""
        self._withdraw(_NOBODY_WAITS)

    def leave(self, why: str = _NOBODY_WAITS) -> MoveEnd:
        """Who has it in hand goes on as he can."""
        return NotMoved(why=why) if self._withdraw(why) else Unsettled(why=why)

    def _late(self) -> MoveEnd | None:
        now = self._services.clock.monotonic()
        if now >= self._heeded_by and self._withdraw("who has the job in hand did not heed it in time"):
            return NotMoved(why="who has it in hand did not heed the order in time")
        return Unsettled(why="it was stopped, and does not run again yet") if now >= self._done_by else None

    def _withdraw(self, why: str) -> bool:
        journal = self._services.journal
        return journal.call_off_move(self._move.job, attempt=self._order.attempt, why=why, unless_meant=True)
