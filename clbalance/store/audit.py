"""Who moved or started what, when and why: a JSON object a line, in `audit.jsonl` of the state folder.

Only ever added to, so that it can be followed and shipped (`tail -F`). When it is full it becomes `audit.jsonl.1`.
"""

import errno
import json
import os
from pathlib import Path
from typing import Final

from clbalance.errors import StoreError

NAME: Final = "audit.jsonl"
_MOST_BYTES: Final = 4 << 20


class AuditLog:
    """Of one state folder. One `write` a line: lines of several processes do not mix (O_APPEND)."""

    def __init__(self, state: Path, most_bytes: int = _MOST_BYTES) -> None:
        self.path = state / NAME
        self._most_bytes = most_bytes

    def add(self, **told: object) -> None:
        """One line, on the disk when this returns; `StoreError` where it is not."""
        line = "\n" * self._is_torn() + json.dumps(told, ensure_ascii=True, allow_nan=False) + "\n"
        try:
            self._make_room()
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                if os.write(fd, line.encode()) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"`{self.path}`: {error.strerror}") from error

    def _is_torn(self) -> bool:
        """Whether the last line was cut short, as by a full disk: it must not spoil the next."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:  # there is none, or nothing in it
            return False

    def _make_room(self) -> None:
        try:
            full = self.path.stat().st_size >= self._most_bytes
        except FileNotFoundError:
            return
        if full:
            self.path.replace(self.path.with_name(f"{NAME}.1"))
