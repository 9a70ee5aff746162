"""A move that somebody else carries out: the job's controller finds the order in the journal."""

from clbalance.engine.errand import AskedMove, Errand, MoveEnd, NotMoved, Unsettled, end_by_record
from clbalance.engine.world import World
from clbalance.job import Tries
from clbalance.moves import MoveOrder, MoveStage

_HEEDED_WITHIN_S = 30.0  # beyond the time that the target has to answer: who has the job in hand may be busy
_STARTED_WITHIN_S = 60.0  # beyond that, and the grace
_REQUEUE_GRACE_S = 5.0
_NOBODY_WAITS = "nobody waits for it any more"


def begin_asked(world: World, move: AskedMove, order: MoveOrder, tries: Tries) -> Errand | NotMoved:
    """Ask who has the job in hand."""
    if not world.journal.ask_move(move.job, order):
        return NotMoved(why="another move or a cancel of it is under way")
    return AskedErrand(world, move, order, tries)


class AskedErrand:
    """Seen through the journal alone."""

    def __init__(self, world: World, move: AskedMove, order: MoveOrder, tries: Tries) -> None:
        self._world = world
        self._move = move
        self._order = order
        grace_s = _REQUEUE_GRACE_S if tries.checkpoint is None else tries.checkpoint.grace_s
        now = world.clock.monotonic()
        self._heeded_by = now + _HEEDED_WITHIN_S + 2 * world.answer_within_s
        self._done_by = self._heeded_by + _STARTED_WITHIN_S + grace_s

    def look(self) -> MoveEnd | None:
        """By its record, and by what has become of the order."""
        journal, job, attempt = self._world.journal, self._move.job, self._order.attempt
        record = journal.record(job)
        end = end_by_record(record, attempt)
        if end is not None:
            return end
        if record is not None and not record.controlled:  # looked at again: its last word may be younger
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
        now = self._world.clock.monotonic()
        if now >= self._heeded_by and self._withdraw("who has the job in hand did not heed it in time"):
            return NotMoved(why="who has it in hand did not heed the order in time")
        return Unsettled(why="it was stopped, and does not run again yet") if now >= self._done_by else None

    def _withdraw(self, why: str) -> bool:
        journal = self._world.journal
        return journal.call_off_move(self._move.job, attempt=self._order.attempt, why=why, unless_meant=True)
