"""The high-water mark of job numbers, in the file `job-numbers` beside the state database.

If the database is lost, the mark is there, and no number is given twice. The file has two numbers: the highest that was
*taken*, on the disk before a job gets it, and the highest that was *given*, written once its job is in the database.
A database below `given` has lost jobs. A number between the two belongs to a `run` that was killed in between.
"""

import contextlib
import errno
import os
import sqlite3
import stat
import zlib
from pathlib import Path
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.store.database import as_store_error, file_error, transaction

FILE: Final = "job-numbers"
_DIGITS: Final = 12
_LINE_BYTES: Final = _DIGITS + 10  # digits, space, checksum in 8 digits, newline
_MODE: Final = 0o1600  # the sticky bit as for the database


@dataclass(frozen=True, slots=True)
class LostJobs:
    """The numbers of the jobs that the database has lost."""

    first: int
    last: int


class JobNumbers:
    """The numbers of one state database. `connection` must be outside of a transaction, except for `take`."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database
        self._path = database.parent / FILE

    def take(self) -> int:
        """A number that was never used, within the transaction that records its job. Durable. `StoreError`."""
        number = max(self._recorded(), *self._marks()) + 1
        try:
            self._write(0, number, durable=True)
        except OSError as error:
            raise file_error(error, self._path) from error
        return number

    def given(self, number: int) -> None:
        """The job with that number is in the database. The mark is a little late if this fails, and set right later."""
        with contextlib.suppress(OSError):
            self._write(_LINE_BYTES, number, durable=False)

    def compare(self) -> LostJobs | None:
        """Compare database and mark; set right the one that is behind. Returns what the database has lost, once."""
        with as_store_error(self._database):
            if self._agree():
                return None
            with transaction(self._connection):  # read again: another process may have submitted a job meanwhile
                return None if self._agree() else self._set_right()

    def _agree(self) -> bool:
        taken, given = self._marks()
        return given == self._recorded() <= taken

    def _set_right(self) -> LostJobs | None:
        recorded, (taken, given) = self._recorded(), self._marks()
        if given <= recorded:  # no mark yet, a damaged or an old one; or it was not written after the last job
            with contextlib.suppress(OSError):  # the next job says so
                self._write(0, max(taken, recorded), durable=taken < recorded)
                self._write(_LINE_BYTES, recorded, durable=False)
            return None
        highest = max(taken, given)
        self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'job'")
        self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('job', ?)", (highest,))
        with contextlib.suppress(OSError):
            self._write(0, highest, durable=True)
            self._write(_LINE_BYTES, highest, durable=False)
        return LostJobs(recorded + 1, given)

    def _recorded(self) -> int:
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone()
        return 0 if row is None else int(row[0])

    def _marks(self) -> tuple[int, int]:
        """The numbers taken and given; 0 for one that is missing or damaged."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return 0, 0
        try:
            text = os.read(fd, 2 * _LINE_BYTES)
        except OSError:
            return 0, 0
        finally:
            os.close(fd)
        return _number(text[:_LINE_BYTES]), _number(text[_LINE_BYTES:])

    def _write(self, at: int, number: int, *, durable: bool) -> None:
        """Write one of the two numbers in place: that takes no room on a full disk, and a torn one is noticed.

        The mode is set last: until then the file is as new, also one whose first write has failed.
        """
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            is_new = stat.S_IMODE(os.fstat(fd).st_mode) != _MODE
            if os.pwrite(fd, _line(number), at) < _LINE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(fd) if is_new else os.fdatasync(fd)
            if durable and is_new:
                _sync_folder(self._path.parent)
                os.fchmod(fd, _MODE)
        finally:
            os.close(fd)


def _line(number: int) -> bytes:
    digits = b"%0*d" % (_DIGITS, number)
    return b"%b %08x\n" % (digits, zlib.crc32(digits))


def _number(line: bytes) -> int:
    digits = line[:_DIGITS]
    return int(digits) if digits.isdigit() and line == _line(int(digits)) else 0


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
