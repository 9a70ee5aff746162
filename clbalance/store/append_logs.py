"""Append-only files: the log of a job's tasks, its tasks with complete output, and the audit log."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Final, assert_never

from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job_record import End
from clbalance.model.task import TaskEnded, TaskEvent, TaskGiven, TaskRequeued, TaskReturned
from clbalance.store.database import file_error
from clbalance.store.job_rows import from_text, to_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_end_text = lru_cache(to_text)
"""Most tasks end in the same way."""
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class FileTaskLog:
    """`ports.TaskLog` in a file. `StoreError` if it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._syncs: SimpleQueue[Callable[[StoreError | None], None] | None] | None = None
        """For the thread that syncs, if there is one."""

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        text = b"".join(_line(event) for event in events)
        try:
            if self._fd < 0:
                self._open()
            while text:
                text = text[os.write(self._fd, text) :]
            if durable:
                os.fdatasync(self._fd)
        except OSError as error:
            raise file_error(error, self._path) from error

    def sync(self, done: Callable[[StoreError | None], None]) -> None:
        self.add([], durable=False)  # opens it
        if self._syncs is None:
            self._syncs = SimpleQueue()
            threading.Thread(
                target=self._sync_all, args=(self._fd, self._syncs), name="clbalance-log", daemon=True
            ).start()
        self._syncs.put(done)

    def _sync_all(self, fd: int, syncs: "SimpleQueue[Callable[[StoreError | None], None] | None]") -> None:
        """Sync the file each time, and close it in the end."""
        while (done := syncs.get()) is not None:
            try:
                os.fdatasync(fd)
            except OSError as error:
                done(file_error(error, self._path))
            else:
                done(None)
        os.close(fd)

    def events(self) -> tuple[TaskEvent, ...]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise file_error(error, self._path) from error
        return tuple(_events(content))

    def close(self) -> None:
        if self._syncs is not None:
            self._syncs.put(None)  # the thread closes the file, once it has done what was asked of it
            self._syncs = None
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        """Open the file. If a crash has cut its last line short, end that line, or the next would be damaged, too."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")


class FileWrittenTasks:
    """`ports.WrittenTasks` in a file: `<claim> <number>` a line, only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, claim: int, number: int) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o600)
            try:
                os.write(fd, b"%d %d\n" % (claim, number))
            finally:
                os.close(fd)
        except OSError as error:
            raise file_error(error, self._path) from error

    def all(self) -> frozenset[tuple[int, int]]:
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise file_error(error, self._path) from error
        words = [line.split() for line in lines]
        return frozenset((int(two[0]), int(two[1])) for two in words if len(two) == 2 and all(map(bytes.isdigit, two)))


def _line(event: TaskEvent) -> bytes:
    match event:
        case TaskGiven():
            fields: list[object] = ["given", event.number, event.node, event.claim]
        case TaskReturned():
            fields = ["returned", event.number, event.claim]
        case TaskRequeued():
            fields = ["requeued", event.number]
        case TaskEnded():
            at_us = (event.at - _EPOCH) // timedelta(microseconds=1)
            fields = ["ended", event.number, event.node, event.claim, event.seconds, at_us, _end_text(event.end)]
        case _:
            assert_never(event)
    return _to_json(fields).encode() + b"\n"


def _events(content: bytes) -> Iterator[TaskEvent]:
    for line in content.splitlines():
        try:
            yield _event(json.loads(line))
        except (ValueError, TypeError, KeyError, OverflowError, StoreError):  # a line that was cut short
            continue


def _event(fields: object) -> TaskEvent:
    match fields:
        case ["given", int(number), str(node), int(claim)]:
            return TaskGiven(number=number, node=NodeName(node), claim=claim)
        case ["returned", int(number), int(claim)]:
            return TaskReturned(number=number, claim=claim)
        case ["requeued", int(number)]:
            return TaskRequeued(number=number)
        case ["ended", int(number), str(node), int(claim), float() | int() as seconds, int(at_us), str(end)]:
            at = _EPOCH + timedelta(microseconds=at_us)
            return TaskEnded(
                number=number, node=NodeName(node), claim=claim, end=_end(end), seconds=float(seconds), at=at
            )
        case _:
            raise ValueError("no event")


def _end(text: str) -> End:
    end: End = from_text(text, object)  # type: ignore[assignment]  # checked below
    if not isinstance(end, End):
        raise TypeError("no end")
    return end


# The audit log of starts and migrations: one JSON object a line, in `audit.jsonl` of the state folder.
#
# Append-only, so that it can be followed and shipped (`tail -F`). When it is full it is renamed to `audit.jsonl.1`.

NAME: Final = "audit.jsonl"
_MOST_BYTES: Final = 4 << 20


class AuditLog:
    """The audit log of one state folder. One `write` a line, so lines of several processes do not mix (O_APPEND)."""

    def __init__(self, state: Path, most_bytes: int = _MOST_BYTES) -> None:
        self.path = state / NAME
        self._most_bytes = most_bytes

    def add(self, **parsed: object) -> None:
        """Add one line; it is on disk when this returns. `StoreError` if that fails."""
        line = "\n" * self._is_torn() + json.dumps(parsed, ensure_ascii=True, allow_nan=False) + "\n"
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
            raise file_error(error, self.path) from error

    def _is_torn(self) -> bool:
        """Whether the last line was cut short, as by a full disk: it must not damage the next."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:  # no file, or an empty one
            return False

    def _make_room(self) -> None:
        try:
            full = self.path.stat().st_size >= self._most_bytes
        except FileNotFoundError:
            return
        if full:
            self.path.replace(self.path.with_name(f"{NAME}.1"))
