"""Move jobs off nodes that are drained, and say what came of each."""

from collections.abc import Sequence
from typing import assert_never

from clbalance.cli.deed_log import DeedLog, move_result
from clbalance.cli.screen import Screen
from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.errand import AskedMove, Moved, MoveEnd, NotMoved, Unsettled
from clbalance.engine.evacuate import MoveThem
from clbalance.engine.move_jobs import move_jobs
from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.policy.evacuation import Evacuation
from clbalance.render import talk
from clbalance.render.reports.rebalance import Deed


def moves_off(place: Workplace, screen: Screen, reason: str) -> MoveThem:
    """Who carries them out: whoever has each job in hand, or this process."""

    def move(world: World, some: Sequence[Evacuation]) -> None:
        asked = [
            AskedMove(job=one.job, src=one.src, dst=one.dst, why=f"{one.src} is drained: {reason}") for one in some
        ]
        move_jobs(world, asked, place.question_of_job, input_of, _Telling(world, screen, reason).tell)

    return move


class _Telling:
    """Each move is written down and told of as it ends."""

    def __init__(self, world: World, screen: Screen, reason: str) -> None:
        self._world = world
        self._screen = screen
        self._reason = reason
        self._log = DeedLog(world, screen)

    def tell(self, move: AskedMove, end: MoveEnd) -> None:
        self._log.add(
            Deed(
                what="move",
                job=move.job,
                name=self._name(move.job),
                src=move.src,
                dst=move.dst,
                why=f"drain {move.src}: {self._reason}",
                result=move_result(end, move.dst),
            )
        )
        match end:
            case Moved(node=node):
                self._screen.say(talk.note(f"job {move.job}: moved from {move.src} to {node}"))
            case NotMoved(why=why) | Unsettled(why=why):
                self._screen.say(talk.warning(f"job {move.job}: not moved from {move.src}: {why}"))
            case _:
                assert_never(end)

    def _name(self, job: int) -> str:
        """Empty where memory fails now."""
        try:
            record = self._world.journal.record(job)
        except StoreError:
            return ""
        return "" if record is None else record.name
