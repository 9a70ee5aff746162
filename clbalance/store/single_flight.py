"""Locks for one process at a time on this host; the kernel releases them when the process dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from clbalance.errors import LockedError
from clbalance.store.database import file_error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file for the block, made if need be. Its locks end with the block."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise file_error(error, path) from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[tuple[int, bool]]:
    """The open file, and whether this process has its lock for the block. It never waits."""
    with _opened(path) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        except BlockingIOError:
            is_ours = False
        yield fd, is_ours


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Try to lock `path` for the block. Yields False if another process has the lock."""
    with _lock(path) as (_, is_ours):
        yield is_ours


@contextlib.contextmanager
def try_lock_byte(path: Path, offset: int) -> Iterator[bool]:
    """The same for one byte of the file, as one lock of many. Not twice at once in one process."""
    with _opened(path) as fd:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
            is_ours = True
        except (BlockingIOError, PermissionError):  # which of the two is up to the system (fcntl(2))
            is_ours = False
        yield is_ours


@contextlib.contextmanager
def single_flight(state: Path, verb: str) -> Iterator[None]:
    """Hold `<verb>.lock` of the state folder. `LockedError` if another process has it, with its pid and since when."""
    with _lock(state / f"{verb}.lock") as (fd, is_ours):
        if not is_ours:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
            raise LockedError(
                f"another `clbalance {verb}` is running ({holder or 'just started'})",
                hint="only one runs at a time; under cron this is harmless, the next run follows",
            )
        with contextlib.suppress(OSError):  # only who holds the lock is unknown then: on a full disk it works as well
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"pid {os.getpid()}, since {time.strftime('%H:%M:%S')}\n".encode(), 0)
        yield
