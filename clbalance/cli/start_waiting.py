"""Start a job that is queued, as it was submitted."""

from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.start_queued import QueuedStart, StillQueued, start_queued
from clbalance.engine.world import World
from clbalance.errors import UsageError
from clbalance.job import JobRecord, Submitted


def start_waiting(place: Workplace, world: World, record: JobRecord, submitted: Submitted) -> QueuedStart:
    """Of `place` only the settings count: where and by which policy, the job has brought along."""
    try:
        stdin = input_of(submitted)
    except UsageError as error:
        world.journal.queue(record.id, attempt=record.attempt, reason=error.message)
        return StillQueued(reason=error.message)
    return start_queued(world, place.question_of_job(submitted), record, submitted, stdin)
