"""What a job's record says of how it goes on, once every copy of its attempt has ended."""

from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import Outcome, Tries
from clbalance.policy.afterwards import Afterwards, afterwards


def next_step(world: World, job: int, outcomes: tuple[Outcome, ...], tries: Tries | None = None) -> Afterwards:
    """By all that is written down of it. `tries` None: those that it was submitted with."""
    journal = world.journal
    record = journal.record(job)
    if record is None:
        raise StoreError(f"job {job} is not remembered any more")
    if tries is None:
        submitted = journal.submitted(job)
        tries = Tries() if submitted is None else submitted.tries
    return afterwards(
        record,
        tries,
        outcomes,
        journal.copies(job),
        journal.move_of(job),
        cancelled=journal.is_cancelled(job),
    )


def put_back(world: World, job: int, reason: str) -> bool:
    """A job that we took from the queue and that has not begun waits there again. False where it does not."""
    try:
        record = world.journal.record(job)
        return record is not None and world.journal.queue(job, attempt=record.attempt, reason=reason)
    except StoreError as error:
        world.listener.forgot(error.message)
        return True  # it is written down as queued, and is in nobody's hands when we have gone
