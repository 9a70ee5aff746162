"""From the outcomes of a job's copies to its state, reason, exit code, and nodes by result. Pure."""

import signal
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from signal import SIGKILL
from typing import assert_never

from clbalance.errors import ExitCode
from clbalance.model import NodeName, Plan, Unfit
from clbalance.model.job_record import (
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
from clbalance.units import format_size

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
    """State of one copy. A copy on a silent node counts as running, because it may still run."""
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


def worst_outcome(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The outcome that decides the job's state; None if there are no outcomes.

    A failed copy comes before the copies that were cancelled because of it.
    """
    return max(outcomes, key=lambda outcome: _FROM_MILD_TO_GRAVE.index(state_of(outcome.end)), default=None)


def has_failed(end: End) -> bool:
    """Whether the copy failed in a way that another node may avoid."""
    return state_of(end) in {JobState.FAILED, JobState.NODE_FAIL}


def reason_of(end: End) -> str:  # noqa: PLR0911 - one return for each kind of end
    """Why it ended so, in few words; empty if its exit code says it all."""
    match end:
        case Exited():
            return ""
        case Killed(signal=number):
            return f"killed by {_signal_name(number)}"
        case NotStarted(reason=reason):
            return f"not started: {reason}"
        case TimedOut(limit_s=limit_s):
            return f"time limit of {limit_s:g} s reached"
        case OutOfMemory(limit_bytes=limit, used_bytes=used):
            taken = "more memory than" if used is None else f"{format_size(used)} of memory, past"
            return f"took {taken} its limit of {format_size(limit)}"
        case Cancelled(reason=reason) | NodeFailed(reason=reason):
            return reason
        case Lost(cause=cause, reason=reason):
            return cause.because(reason)
        case _:
            assert_never(end)


def end_reason(outcome: Outcome) -> str:
    """The reason for a job's record; for a killed copy with its node's warnings, such as who killed it."""
    reason = reason_of(outcome.end)
    return "; ".join((reason, *outcome.warnings)) if isinstance(outcome.end, Killed) else reason


def became_of(record: JobRecord, outcomes: Iterable[Outcome], *, all_ended: bool) -> str:
    """Result of cancelling a job, in a word or two; `all_ended`: the ends of all copies are known.

    The record may be older than the outcomes, because the job's controller may not have written them yet.
    """
    if record.state.is_over:
        return str(record.state)
    worst = worst_outcome(outcomes) if all_ended else None
    # In a task job these are the ends of its slots, which do not show how its tasks ended.
    if worst is not None and isinstance(worst.end, Cancelled):
        return str(JobState.CANCELLED)
    if record.state is JobState.PENDING:  # other ends are those of attempts before
        return "will not be started"
    return "is being ended" if worst is None or isinstance(worst.end, Lost) else "has ended"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# -- exit code of `run` (docs/design/command-line.md)


def run_exit_code(outcomes: Iterable[Outcome], interrupted: int | None = None) -> int:
    """The highest exit code of the job's copies; 128 + `interrupted` if that signal stopped us."""
    if interrupted is not None:
        return 128 + interrupted
    return max((code_of(outcome.end) for outcome in outcomes), default=ExitCode.NOT_RUN_TO_ITS_END)


def code_of(end: End) -> int:
    """Exit code of one copy, by the rules of a shell."""
    match end:
        case Exited(rc=rc):
            return rc
        case Killed(signal=number):
            return 128 + number
        case TimedOut():
            return ExitCode.TIME_LIMIT
        case OutOfMemory():
            return 128 + SIGKILL  # as after the kernel's OOM kill, and as in Kubernetes
        case NotStarted(rc=rc):
            return ExitCode.NOT_RUN_TO_ITS_END if rc is None else rc
        case Cancelled() | NodeFailed() | Lost():
            return ExitCode.NOT_RUN_TO_ITS_END
        case _:
            assert_never(end)


# -- a job's nodes by result; each node is in exactly one set


class Result(StrEnum):
    """Names of the sets, as in `@clb:failed` and `@clb:failed-17`."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    NOT_STARTED = "notstarted"


_BY_STATE = {
    JobState.COMPLETED: Result.OK,
    JobState.FAILED: Result.FAILED,
    JobState.OUT_OF_MEMORY: Result.FAILED,
    JobState.TIMEOUT: Result.TIMEOUT,
    JobState.CANCELLED: Result.CANCELLED,
    JobState.NODE_FAIL: Result.UNREACHABLE,
    JobState.RUNNING: Result.UNREACHABLE,  # its node does not answer
}


def result_of(outcome: Outcome) -> Result:
    """Result of one copy. A copy that never ran has not failed, whatever the reason."""
    match outcome.end:
        case NotStarted():
            return Result.NOT_STARTED
        case Cancelled() if outcome.seconds == 0:
            return Result.NOT_STARTED
        case end:
            return _BY_STATE[state_of(end)]


def result_sets(
    outcomes: Sequence[Outcome], candidates: Sequence[NodeName], plan: Plan | None
) -> Mapping[Result, tuple[NodeName, ...]]:
    """The nodes of every result, including empty ones.

    A candidate without a copy counts as not started, or as unreachable, if it should have had a copy: if every
    candidate was wanted (`plan.wanted` is None), if no copy was placed at all, or if it refused one.
    """
    sets: dict[Result, list[NodeName]] = {result: [] for result in Result}
    for outcome in outcomes:
        sets[result_of(outcome)].append(outcome.node)
    placed = {outcome.node for outcome in outcomes}
    unfit = {one.node: one for one in plan.unfit} if plan is not None else {}
    wanted_all = not outcomes or plan is None or plan.wanted is None
    for node in candidates:
        if node not in placed and (wanted_all or _has_refused(unfit.get(node))):
            sets[_without_copy(unfit.get(node))].append(node)
    return {result: tuple(nodes) for result, nodes in sets.items()}


def _has_refused(unfit: Unfit | None) -> bool:
    return unfit is not None and unfit.filter == "admission"


def _without_copy(unfit: Unfit | None) -> Result:
    return Result.UNREACHABLE if unfit is not None and unfit.filter == "silent" else Result.NOT_STARTED
