"""The lines that were typed, in a private file of the state folder. Without it the shell works all the same."""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import History

_READ_BYTES = 256 << 10
"""Of a longer file, the end."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_WORDS = {errno.EISDIR: "it is a folder", errno.ELOOP: "it is a link"}


class FileHistory(History):
    """One line of the file for each that was typed. A line that begins with a blank is not kept."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        """Reads the file. `tell` is called once, with the reason, if it cannot be used."""
        super().__init__()
        self._path: Path | None = path
        self._tell = tell
        self._earlier = self._with_file(_end_of)

    def load_history_strings(self) -> Iterable[str]:
        """The newest first. As they were stored, no other character than a newline ends one."""
        lines = self._earlier.decode("utf-8", "replace").split("\n")
        return [line for line in reversed(lines) if line]

    def store_string(self, string: str) -> None:
        """Append the line."""
        line = string.encode("utf-8", "replace") + b"\n"
        if not string.startswith(" ") and "\n" not in string:
            self._with_file(lambda fd: (os.write(fd, line), b"")[1])

    def _with_file(self, use: Callable[[int], bytes]) -> bytes:
        """What `use` makes of the opened file; nothing without one. It must be a file that is ours alone."""
        if self._path is None:
            return b""
        try:
            fd = os.open(self._path, _FLAGS, 0o600)
            try:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(0, "it is no file")
                if found.st_uid != os.geteuid():
                    raise OSError(0, "it belongs to another user")
                if found.st_mode & 0o077:
                    os.fchmod(fd, 0o600)
                return use(fd)
            finally:
                os.close(fd)
        except OSError as error:
            path, self._path = self._path, None
            reason = _IN_WORDS.get(error.errno or 0, error.strerror)
            self._tell(f"continuing without a file for the history: `{path}`: {reason}")
            return b""


def _end_of(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    os.lseek(fd, max(0, size - _READ_BYTES), os.SEEK_SET)
    content = b""
    while len(content) < _READ_BYTES and (piece := os.read(fd, _READ_BYTES)):
        content += piece
    return content if size <= _READ_BYTES else content.partition(b"\n")[2]
