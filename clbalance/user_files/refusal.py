"""Errors of writing files: refused before anything was written, or failed while writing."""

import errno
import os
from pathlib import Path
from shlex import quote

from clbalance.errors import ClbalanceError, UsageError


class FileRefusedError(UsageError):
    """The file is refused; nothing was written. `number`: the kernel's errno, 0 for a reason of ours."""

    def __init__(self, path: str, reason: str, *, hint: str, number: int = 0) -> None:
        super().__init__(f"cannot write {path!r}: {reason}", hint=hint)
        self.reason = reason
        self.number = number


class FileFailedError(ClbalanceError):
    """Writing failed: the disk is full, the reader is gone. Part of the data may have been written."""

    def __init__(self, path: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"cannot write {path!r}: {reason}", hint=hint)
        self.reason = reason


class ChangedMeanwhileError(Exception):
    """The file was exchanged after the check. Look and open again."""


def refused_by_kernel(path: str, error: OSError) -> FileRefusedError:
    """The kernel's error as a `FileRefusedError`, with a hint."""
    number = error.errno or 0
    return FileRefusedError(path, os.strerror(number), hint=_hint(path, number), number=number)


def failed(path: str, error: OSError) -> FileFailedError:
    """The error of a failed write as a `FileFailedError`."""
    if error.errno == errno.EPIPE:
        return FileFailedError(path, "its reader has gone")
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = f"`df {quote(str(Path(path).parent))}` shows the disk" if is_full else ""
    return FileFailedError(path, error.strerror or str(error), hint=hint)


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
