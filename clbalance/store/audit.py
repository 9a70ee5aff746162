"""Who moved or started what, when and why: a JSON object a line, in `audit.jsonl` of the state folder.

Only ever added to, so that it can be followed and shipped (`tail -F`). When it is full it becomes `audit.jsonl.1`.
"""

import json
import os
from collections.abc import Mapping
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
        line = json.dumps(told, ensure_ascii=True, allow_nan=False) + "\n"
        try:
            self._make_room()
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, line.encode())
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"`{self.path}`: {error.strerror}") from error

    def _make_room(self) -> None:
        try:
            full = self.path.stat().st_size >= self._most_bytes
        except FileNotFoundError:
            return
        if full:
            self.path.replace(self.path.with_name(f"{NAME}.1"))


def read_audit(state: Path) -> list[Mapping[str, object]]:
    """What is still there, the oldest first; what is no JSON object is left out."""
    found: list[Mapping[str, object]] = []
    for path in (state / f"{NAME}.1", state / NAME):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"`{path}`: {error.strerror}") from error
        found += [told for line in lines if isinstance(told := _object(line), dict)]
    return found


def _object(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
