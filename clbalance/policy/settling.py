"""What is left to be asked about a job, and what its record becomes by the answers. Pure (docs/design/jobs.md)."""

from clbalance.job import CopyRecord, JobRecord, JobState, NotStarted


def current_copies(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """Of the attempt that was written down last: the copies of one claim, or the slots of several."""
    return tuple(copy for copy in copies if copy.attempt == record.attempt)


def unsettled(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """The copies of which no end is known, if the job is not over."""
    if record.state.is_over:
        return ()
    return tuple(copy for copy in current_copies(record, copies) if copy.outcome is None)


def was_abandoned(record: JobRecord, copies: tuple[CopyRecord, ...]) -> bool:
    """Whether whoever had it in hand died before it could have been started. One that is queued waits on."""
    in_nobodys_hands = not record.state.is_over and not record.controlled and not record.queued
    return in_nobodys_hands and not current_copies(record, copies)


def is_queued(record: JobRecord) -> bool:
    """Whether it waits for `rebalance` to start it."""
    return record.queued and record.state is JobState.PENDING and not record.controlled


def half_started(record: JobRecord, copies: tuple[CopyRecord, ...]) -> str:
    """Why the rest of a job that nobody has in hand must end, where a copy of it never started; else empty.

    Who found that out may have gone before the others' nodes had answered.
    """
    if record.controlled or record.state.is_over:
        return ""
    never = (one for one in current_copies(record, copies) if one.outcome and isinstance(one.outcome.end, NotStarted))
    return next((f"it could not start on {one.intent.node}" for one in never), "")
