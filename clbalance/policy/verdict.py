"""What the ends of its copies make of a job: Slurm's state, and why. Pure."""

import signal
from collections.abc import Iterable
from typing import assert_never

from clbalance.job import (
    Cancelled,
    End,
    Exited,
    JobRecord,
    JobState,
    Killed,
    Lost,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    TimedOut,
)
from clbalance.sizes import told_size

_FROM_MILD_TO_GRAVE = (
    JobState.COMPLETED,
    JobState.CANCELLED,
    JobState.FAILED,
    JobState.TIMEOUT,
    JobState.OUT_OF_MEMORY,
    JobState.NODE_FAIL,
    JobState.RUNNING,
)


def state_of(end: End) -> JobState:  # noqa: PLR0911 - one return for each kind of end
    """One copy's. A node that does not answer has not failed: the copy may run, and counts as running."""
    match end:
        case Exited(rc=0):
            return JobState.COMPLETED
        case Exited() | Killed() | NotStarted():
            return JobState.FAILED
        case TimedOut():
            return JobState.TIMEOUT
        case OutOfMemory():
            return JobState.OUT_OF_MEMORY
        case Cancelled():
            return JobState.CANCELLED
        case NodeFailed():
            return JobState.NODE_FAIL
        case Lost():
            return JobState.RUNNING
        case _:
            assert_never(end)


def gravest(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The copy that tells the job's state; None of none.

    A copy that was cancelled because another one failed says less than that other one.
    """
    return max(outcomes, key=lambda outcome: _FROM_MILD_TO_GRAVE.index(state_of(outcome.end)), default=None)


def has_failed(end: End) -> bool:
    """Whether another node may do better."""
    return state_of(end) in {JobState.FAILED, JobState.NODE_FAIL}


def reason_of(end: End) -> str:  # noqa: PLR0911 - one return for each kind of end
    """Why it ended so, in few words; empty where its code says it all."""
    match end:
        case Exited():
            return ""
        case Killed(signal=number):
            return f"killed by {_signal_name(number)}"
        case NotStarted(why=why):
            return f"not started: {why}"
        case TimedOut(limit_s=limit_s):
            return f"time limit of {limit_s:g} s reached"
        case OutOfMemory(limit_bytes=limit, used_bytes=used):
            taken = "more memory than" if used is None else f"{told_size(used)} of memory, past"
            return f"took {taken} its limit of {told_size(limit)}"
        case Cancelled(why=why) | NodeFailed(why=why):
            return why
        case Lost(cause=cause, why=why):
            return cause.because(why)
        case _:
            assert_never(end)


def why_ended(outcome: Outcome) -> str:
    """The reason for a job's record: of one that was killed also what its node knows of it, as who killed it."""
    reason = reason_of(outcome.end)
    return "; ".join((reason, *outcome.warnings)) if isinstance(outcome.end, Killed) else reason


def became_of(record: JobRecord, outcomes: Iterable[Outcome], *, all_ended: bool) -> str:
    """What a job that was told to end has come to, in a word or two; `all_ended`: of no copy an end is missing.

    Who has it in hand may not have written down yet what its nodes have said: its record is then behind them.
    """
    if record.state.is_over:
        return str(record.state)
    if record.state is JobState.PENDING:
        return "will not be started"
    worst = gravest(outcomes) if all_ended else None
    if worst is None or isinstance(worst.end, Lost):
        return "is being ended"
    # Of a job of tasks these are the ends of its slots, which do not tell how its tasks ended.
    return str(JobState.CANCELLED) if isinstance(worst.end, Cancelled) else "has ended"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
