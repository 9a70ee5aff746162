"""Move jobs off nodes that are drained, and say what came of each."""

from collections.abc import Sequence

from clbalance.cli.screen import Screen
from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.errand import AskedMove, Moved, MoveEnd, NotMoved, Unsettled
from clbalance.engine.evacuate import MoveThem
from clbalance.engine.move_jobs import move_jobs
from clbalance.engine.world import World
from clbalance.policy.evacuation import Evacuation
from clbalance.render import talk


def moves_off(place: Workplace, screen: Screen, reason: str) -> MoveThem:
    """Who carries them out: whoever has each job in hand, or this process."""

    def tell(move: AskedMove, end: MoveEnd) -> None:
        match end:
            case Moved(node=node):
                screen.say(talk.note(f"job {move.job}: moved from {move.src} to {node}"))
            case NotMoved(why=why) | Unsettled(why=why):
                screen.say(talk.warning(f"job {move.job}: not moved from {move.src}: {why}"))

    def move(world: World, some: Sequence[Evacuation]) -> None:
        asked = [
            AskedMove(job=one.job, src=one.src, dst=one.dst, why=f"{one.src} is drained: {reason}") for one in some
        ]
        move_jobs(world, asked, place.question_of_job, input_of, tell)

    return move
