"""Start a job that is queued, as it was submitted."""

from dataclasses import replace

from clbalance.cli.submit import input_of
from clbalance.cli.workplace import Workplace
from clbalance.engine.start_queued import QueuedStart, StillQueued, start_queued
from clbalance.engine.world import World
from clbalance.errors import UsageError
from clbalance.job import JobRecord, Submitted
from clbalance.model import NodeName


def start_waiting(
    place: Workplace, world: World, record: JobRecord, submitted: Submitted, nodes: tuple[NodeName, ...] = ()
) -> QueuedStart:
    """Of `place` only the settings count: where and by which policy, the job has brought along.

    `nodes`: where it has been seen to fit. Only they are asked, and all the others where they do not take it.
    """
    try:
        stdin = input_of(submitted)
    except UsageError as error:
        world.journal.queue(record.id, attempt=record.attempt, reason=error.message)
        return StillQueued(reason=error.message, failed=True)
    question = place.question_of_job(submitted)
    if nodes:
        came = start_queued(world, replace(question, candidates=nodes), record, submitted, stdin)
        if not isinstance(came, StillQueued) or came.failed:
            return came
    return start_queued(world, question, record, submitted, stdin)
