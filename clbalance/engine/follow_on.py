"""Follow a job to its very end: where it is moved, or started again, what it prints next is read as well."""

from collections.abc import Callable

from clbalance.engine.known import look, read
from clbalance.engine.next_step import next_step
from clbalance.engine.revisit import Visited
from clbalance.engine.world import World
from clbalance.job import JobRecord, JobState, Lost
from clbalance.model import NodeName
from clbalance.policy.afterwards import Waits
from clbalance.policy.settling import is_queued
from clbalance.ports import RunListener

_LOOK_AGAIN_S = 0.5  # at the record of a job that somebody else moves or starts


def follow_on(
    world: World,
    record: JobRecord,
    listener: RunListener,
    told: Callable[[JobRecord], None],
    *,
    streams: tuple[str, ...],
    nodes: frozenset[NodeName] | None = None,
) -> Visited:
    """How it has ended, of its last attempt; `told` when it waits meanwhile, and before a further attempt is read.

    It ends early where a node does not answer any more. One that is queued is waited for, as `wait` does.
    """
    while True:
        visited = read(world, record, listener, streams=streams, to_the_end=True, nodes=nodes)
        if not _goes_on(world, record, visited):
            return visited
        found = _started_again_or_over(world, record, told)
        if found.record.attempt == record.attempt or not found.record.nodes:
            return found
        record = found.record
        told(record)


def _goes_on(world: World, record: JobRecord, visited: Visited) -> bool:
    if len(visited.outcomes) < len(record.nodes) or any(isinstance(one.end, Lost) for one in visited.outcomes):
        return False
    now = world.journal.record(record.id) or record
    if now.attempt > record.attempt:
        return True
    return not now.state.is_over and isinstance(next_step(world, record.id, visited.outcomes), Waits)


def _started_again_or_over(world: World, record: JobRecord, told: Callable[[JobRecord], None]) -> Visited:
    waits = ""
    while True:
        (found,) = look(world, [world.journal.record(record.id) or record])
        now = found.record
        if is_queued(now):
            if now.reason != waits:
                waits = now.reason
                told(now)
        elif now.state.is_over or (now.attempt > record.attempt and now.state is JobState.RUNNING):
            return found
        world.clock.pause(_LOOK_AGAIN_S)
