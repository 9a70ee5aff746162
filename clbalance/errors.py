"""The one exception tree: what is wrong, what to type instead, and the exit code it causes.

Wording: no final period, backticks around what can be typed. A node's failure is not in here: it is
a value (`Silent`, `Outcome`), for one sick node never stops the others.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What clbalance itself exits with; `run` passes on the job's own code instead where there is one."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_FITS = 3
    SOME_NODES_FAILED = 4
    LOCKED = 75
    TIME_LIMIT = 124
    NOT_RUN_TO_ITS_END = 125


class ClbalanceError(Exception):
    """Root of everything clbalance raises on purpose; caught once, in `cli/app.py`."""

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ClbalanceError):
    """What was typed cannot be meant."""

    exit_code = ExitCode.USAGE


class ExpressionError(UsageError):
    """An expression that cannot be read or meant; `at` is where in `text`, counted from 0."""

    def __init__(self, message: str, *, text: str, at: int, hint: str = "") -> None:
        super().__init__(f"{message} (at character {at + 1})" if text else message, hint=hint)
        self.text = text
        self.at = at


class NodeNameError(UsageError):
    """A node, node set, group or user name that is malformed, unknown or not allowed."""


class SettingsError(UsageError):
    """`clbalance.toml` or a groups file cannot be used; the message names file and key."""


class TraceError(UsageError):
    """A file of jobs or nodes to replay cannot be used; the message names file and line."""


class NothingFitsError(ClbalanceError):
    """Fewer nodes fit than were asked for."""

    exit_code = ExitCode.NOTHING_FITS


class TooFewLeftError(ClbalanceError):
    """Draining these nodes would leave fewer than there must be."""

    exit_code = ExitCode.NOTHING_FITS


class NotRunError(ClbalanceError):
    """A job could not be run to its end, for a reason that is not the job's."""

    exit_code = ExitCode.NOT_RUN_TO_ITS_END


class TransportError(ClbalanceError):
    """Nodes cannot be reached at all from here, whichever they are (no ssh program, no file descriptors)."""


class StoreError(ClbalanceError):
    """The local database cannot be read or written."""


class NoAnswerError(ClbalanceError):
    """Not one of the nodes has answered."""

    exit_code = ExitCode.SOME_NODES_FAILED


class LockedError(ClbalanceError):
    """Another process of this user on this host does the same at this moment."""

    exit_code = ExitCode.LOCKED


class LabError(ClbalanceError):
    """The cluster in a box cannot be brought up, changed or taken down."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; raised once, in the main thread, so that `with` blocks clean up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
