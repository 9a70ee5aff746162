"""Why a file is not written: refused before anything was written, or failed on the way."""

import errno
import os
from pathlib import Path

from clbalance.errors import ClbalanceError, UsageError


class FileRefusedError(UsageError):
    """Nothing has been written, and nothing under this name will be. `number`: the kernel's reason, 0 for ours."""

    def __init__(self, path: str, reason: str, *, hint: str, number: int = 0) -> None:
        super().__init__(f"cannot write {path!r}: {reason}", hint=hint)
        self.reason = reason
        self.number = number


class FileFailedError(ClbalanceError):
    """The disk is full, the reader has gone: what was written before may be there."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot write {path!r}: {reason}")
        self.reason = reason


class ChangedMeanwhileError(Exception):
    """Another file lies under the name than the one that was looked at; who opens it looks again."""


def refused_by_kernel(path: str, error: OSError) -> FileRefusedError:
    """The same in our words, with what to type."""
    number = error.errno or 0
    return FileRefusedError(path, os.strerror(number), hint=_hint(path, number), number=number)


def failed(path: str, error: OSError) -> FileFailedError:
    """Of a write that was begun."""
    if error.errno == errno.EPIPE:
        return FileFailedError(path, "its reader has gone")
    return FileFailedError(path, error.strerror or str(error))


def _hint(path: str, number: int) -> str:
    match number:
        case errno.ENOENT:
            return f"make the folder first: `mkdir -p {Path(path).parent}`"
        case errno.EISDIR:
            return "name a file in it"
        case errno.ELOOP:
            return "its links lead in a circle; name another file"
        case _:
            return "name a file that you may write to"
