"""All exceptions: a message about what is wrong, a hint about what to type instead, and the exit code.

Wording: no final period, backticks around text to type. A node's failure is not an exception but a value
(`Silent`, `Outcome`), because one sick node must never stop the others.
"""

from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """Exit codes of clbalance itself; `run` exits with the job's own code if there is one."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_FITS = 3
    SOME_NODES_FAILED = 4
    LOCKED = 75
    TIME_LIMIT = 124
    NOT_RUN_TO_ITS_END = 125


class ClbalanceError(Exception):
    """Base of all exceptions that clbalance raises on purpose; caught once, in `cli/app.py`."""

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ClbalanceError):
    """The command line makes no sense."""

    exit_code = ExitCode.USAGE


class ExpressionError(UsageError):
    """An expression with an error in its syntax or its meaning; `at` is the position in `text`, from 0."""

    def __init__(self, message: str, *, text: str, at: int, hint: str = "") -> None:
        super().__init__(f"{message} (at character {at + 1})" if text else message, hint=hint)
        self.text = text
        self.at = at


class NodeNameError(UsageError):
    """A node, node set, group or user name that is malformed, unknown or not allowed."""


class SettingsError(UsageError):
    """`clbalance.toml` or a groups file cannot be used; the message names file and key."""


class Mistake(NamedTuple):
    """One thing that is wrong in a file. `line` and `column` count from 1; 0 if it is about the whole file."""

    file: str
    line: int
    column: int
    path: str
    """Where it is in the values, such as `steps[2].nodes`; empty: at the top."""
    message: str
    hint: str


class PlaybookError(UsageError):
    """A playbook cannot be used; the message has a line for each mistake."""

    def __init__(self, message: str, *, hint: str = "", mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.mistakes = mistakes


class TraceError(UsageError):
    """A file of jobs or nodes to replay cannot be used; the message names file and line."""


class NothingFitsError(ClbalanceError):
    """Fewer nodes fit than were requested."""

    exit_code = ExitCode.NOTHING_FITS


class TooFewLeftError(ClbalanceError):
    """Draining these nodes would leave fewer than `--min-available`."""

    exit_code = ExitCode.NOTHING_FITS


class NotRunError(ClbalanceError):
    """A job could not be run to its end, for a reason outside the job."""

    exit_code = ExitCode.NOT_RUN_TO_ITS_END


class TaskFailedError(ClbalanceError):
    """A command or a call of the library has no result: it failed, or was not run to its end.

    `state`: Slurm's word for how it ended. `node`: where it ran; empty if it did not. `completed`: the command that has
    run (`clbalance.Completed`), if it has.
    """

    def __init__(self, message: str, *, state: str, node: str = "", completed: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state
        self.node = node
        self.completed = completed


class RemoteError(TaskFailedError):
    """A function of an executor has raised an exception on its node. `traceback`: as Python there has printed it."""

    def __init__(self, message: str, *, node: str, type_name: str, traceback: str) -> None:
        super().__init__(message, state="FAILED", node=node)
        self.type_name = type_name
        self.traceback = traceback


class TransportError(ClbalanceError):
    """No node can be reached from this host (no ssh program, no file descriptors)."""


class EngineError(ClbalanceError):
    """A batch system does not answer. What it was told to do may be done, or not."""

    exit_code = ExitCode.NOT_RUN_TO_ITS_END


class StoreError(ClbalanceError):
    """The local database cannot be read or written."""


class NoAnswerError(ClbalanceError):
    """None of the nodes answered."""

    exit_code = ExitCode.SOME_NODES_FAILED


class LockedError(ClbalanceError):
    """Another process of this user on this host is doing the same right now."""

    exit_code = ExitCode.LOCKED


class LabError(ClbalanceError):
    """The lab cluster cannot be brought up, changed or taken down."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; raised once, in the main thread, so that `with` blocks clean up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
