"""The lines that were typed, in a private file of the state folder. Without it the shell works all the same."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import History

_READ_BYTES = 256 << 10
"""Of a longer file, the end."""
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileHistory(History):
    """One line of the file for each that was typed. A line that begins with a blank is not kept."""

    def __init__(self, path: Path | None, tell: Callable[[str], None]) -> None:
        """`tell` is called with the reason if the file cannot be used."""
        super().__init__()
        self._path = path
        self._tell = tell

    def load_history_strings(self) -> Iterable[str]:
        """The newest first. As they were stored, no other character than a newline ends one."""
        content = self._with_file(os.O_RDONLY, _end_of)
        lines = (content or b"").decode("utf-8", "replace").split("\n")
        return [line for line in reversed(lines) if line]

    def store_string(self, string: str) -> None:
        """Append the line."""
        line = string.encode("utf-8", "replace") + b"\n"
        if not string.startswith(" ") and "\n" not in string:
            self._with_file(os.O_WRONLY | os.O_APPEND | os.O_CREAT, lambda fd: (os.write(fd, line), b"")[1])

    def _with_file(self, flags: int, use: Callable[[int], bytes]) -> bytes | None:
        """What `use` makes of the opened file; None if there is none. It must be a file that is ours alone."""
        if self._path is None:
            return None
        try:
            fd = os.open(self._path, flags | _FLAGS, 0o600)
            try:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                    raise OSError(0, "it is no file of yours")
                if found.st_mode & 0o077:
                    os.fchmod(fd, 0o600)
                return use(fd)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return None

    def _give_up(self, reason: str) -> None:
        path, self._path = self._path, None
        self._tell(f"continuing without a file for the history: `{path}`: {reason}")


def _end_of(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    os.lseek(fd, max(0, size - _READ_BYTES), os.SEEK_SET)
    content = b""
    while len(content) < _READ_BYTES and (piece := os.read(fd, _READ_BYTES)):
        content += piece
    return content if size <= _READ_BYTES else content.partition(b"\n")[2]
