"""Wait for the jobs that another one comes after, or see whether they are over."""

from clbalance.engine.known import await_ends, look
from clbalance.engine.world import World
from clbalance.job import JobRecord, Tries
from clbalance.policy.turn import Turn, When, turn


def hindrance(world: World, job: int, tries: Tries) -> str:
    """Why `job` can never be started, once those before it are over; empty where nothing hinders it."""
    before = {number: world.journal.record(number) for number in tries.after}
    known = [record for record in before.values() if record is not None]
    if len(known) == len(before):
        ends = await_ends(world, known, unless=lambda: world.journal.is_cancelled(job))
        if world.journal.is_cancelled(job):
            return "cancelled"
        before |= {one.record.id: one.record for one in ends}
    told = turn(before)
    # What is not over now is on nodes that do not answer any more.
    return f"{told.reason}, not heard of any more" if told.when is When.LATER else told.reason


def turn_of(world: World, after: tuple[int, ...]) -> Turn:
    """Of a job that comes after these; their nodes are asked about those that nobody has in hand."""
    known = {number: world.journal.record(number) for number in after}
    seen = look(world, [record for record in known.values() if record is not None])
    before: dict[int, JobRecord | None] = {**known, **{one.record.id: one.record for one in seen}}
    return turn(before)
