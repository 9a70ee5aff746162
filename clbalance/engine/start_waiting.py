"""Start a job that is queued, as it was submitted: where it has been seen to fit, else wherever it may go."""

from collections.abc import Callable
from dataclasses import replace

from clbalance.engine.question import Question
from clbalance.engine.start_queued import QueuedStart, StillQueued, start_queued
from clbalance.engine.world import World
from clbalance.errors import UsageError
from clbalance.job import JobRecord, Submitted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import JobInput


@dataclass(frozen=True, slots=True, kw_only=True)
class AsSubmitted:
    """What a job has brought along: where it may go and by which policy, and its standard input.

    `input_of` raises `UsageError` where that has gone since.
    """

    question_of: Callable[[Submitted], Question]
    input_of: Callable[[Submitted], JobInput]


def start_waiting(
    world: World, record: JobRecord, submitted: Submitted, brought: AsSubmitted, nodes: tuple[NodeName, ...] = ()
) -> QueuedStart:
    """`nodes`: where it has been seen to fit. Only they are asked, and all the others where they do not take it."""
    world = world.as_user(submitted.job.user)
    try:
        stdin = brought.input_of(submitted)
    except UsageError as error:
        world.journal.queue(record.id, attempt=record.attempt, reason=error.message)
        return StillQueued(reason=error.message, failed=True)
    question = brought.question_of(submitted)
    if nodes:
        came = start_queued(world, replace(question, candidates=nodes), record, submitted, stdin)
        if not isinstance(came, StillQueued) or came.failed:
            return came
    return start_queued(world, question, record, submitted, stdin)
