"""What `run` exits with (docs/design/command-line.md). Pure."""

from collections.abc import Iterable
from signal import SIGKILL
from typing import assert_never

from clbalance.errors import ExitCode
from clbalance.job import Cancelled, End, Exited, Killed, Lost, NodeFailed, NotStarted, Outcome, OutOfMemory, TimedOut


def run_exit_code(outcomes: Iterable[Outcome], interrupted: int | None = None) -> int:
    """The job's own code, the highest over its copies; 128 + signal when we were told to stop."""
    if interrupted is not None:
        return 128 + interrupted
    return max((code_of(outcome.end) for outcome in outcomes), default=ExitCode.NOT_RUN_TO_ITS_END)


def code_of(end: End) -> int:
    """One copy's code, as a shell would have it."""
    match end:
        case Exited(rc=rc):
            return rc
        case Killed(signal=number):
            return 128 + number
        case TimedOut():
            return ExitCode.TIME_LIMIT
        case OutOfMemory():
            return 128 + SIGKILL  # as the kernel's own would have it, and as Kubernetes tells it
        case NotStarted(rc=rc):
            return ExitCode.NOT_RUN_TO_ITS_END if rc is None else rc
        case Cancelled() | NodeFailed() | Lost():
            return ExitCode.NOT_RUN_TO_ITS_END
        case _:
            assert_never(end)
