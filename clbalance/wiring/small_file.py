"""Small files of our own in the state folder. They are caches: what cannot be read or written is done without."""

import contextlib
import os
import stat
from pathlib import Path

_MOST_BYTES = 1 << 20


def read_small(path: Path) -> str:
    """The text of a regular file, all but ASCII replaced; `OSError` or `ValueError` if it is none, or too large."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)  # a FIFO would block
    with os.fdopen(fd, encoding="ascii", errors="replace") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise ValueError(path)
        return file.read()


def replace_small(path: Path, text: str) -> None:
    """Replace the file as a whole, readable by its owner only."""
    from clbalance.user_files import FileFailedError, FileRefusedError, replace_file

    if len(text) <= _MOST_BYTES:
        with contextlib.suppress(OSError, FileRefusedError, FileFailedError):
            replace_file(str(path), text.encode("ascii", "backslashreplace"), mode=0o600)
