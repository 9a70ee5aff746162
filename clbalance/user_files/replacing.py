"""A file whose content is known as a whole: who reads it sees the old or the new, never half of one."""

import contextlib
import os
import stat

from clbalance.user_files.appending import AppendedFile
from clbalance.user_files.checking import check_folder_of, check_replaceable
from clbalance.user_files.refusal import FileRefusedError, failed
from clbalance.user_files.target import Target, at_target, open_target
from clbalance.user_files.writing import write_all

_STALLED_AFTER_S = 10.0
"""Nobody watches what cron writes: a FIFO whose reader sleeps is an error, and does not hold us for ever."""


class Draft:
    """A new content, written beside the file whose place it takes with `keep`; without that nothing has changed.

    It keeps the owner and group of the old one as far as we may give them, and its mode, unless `mode` says which
    (also of a new one, else 0666 less the umask).
    """

    def __init__(self, target: Target, mode: int | None = None) -> None:
        self._path = target.location.path
        self._name = target.location.name
        self._fresh = f".clbalance-{os.urandom(8).hex()}.tmp"
        self._folder = os.dup(target.location.folder)
        self._fd = -1
        old = _predecessor(target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._fresh, flags, 0o600 if old else 0o666, dir_fd=self._folder)
            _dress(self._fd, old, mode)
        except BaseException as error:  # a signal that stops us is one too
            self.close()
            if isinstance(error, OSError):
                raise failed(self._path, error) from error
            raise

    def append(self, data: bytes) -> None:
        """All of it, or `FileFailedError`."""
        try:
            write_all(self._fd, data, within_s=None)
        except OSError as error:
            raise failed(self._path, error) from error

    def keep(self) -> None:
        """Take the file's place; on the disk before it is seen. `FileFailedError` where nothing has changed."""
        try:
            os.fsync(self._fd)
            os.rename(self._fresh, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            raise failed(self._path, error) from error
        self._fresh = ""

    def close(self) -> None:
        """Harmless the second time."""
        folder, fd, self._folder, self._fd = self._folder, self._fd, -1, -1
        if fd >= 0:
            os.close(fd)
        if folder >= 0:
            if self._fresh and fd >= 0:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._fresh, dir_fd=folder)
            os.close(folder)


def open_draft(path: str) -> Draft:
    """For content that comes in pieces. `FileRefusedError`, also of what is only written to in place."""

    def draft(target: Target) -> Draft:
        if target.is_in_place:
            raise FileRefusedError(path, "it is no regular file", hint="name a file")
        check_folder_of(target)
        check_replaceable(target)
        return Draft(target)

    return at_target(path, draft)


def replace_file(path: str, data: bytes, *, mode: int | None = None, within_s: float = _STALLED_AFTER_S) -> None:
    """The whole content at once. A device, FIFO or descriptor is written to in place.

    `FileRefusedError`, or `FileFailedError` where nothing has changed. `mode` is as of a `Draft`.
    """

    def write(target: Target) -> None:
        if target.is_in_place:
            with AppendedFile(path, open_target(target), is_in_place=True, within_s=within_s) as file:
                file.append(data)
            return
        check_folder_of(target)
        check_replaceable(target)
        with contextlib.closing(Draft(target, mode)) as draft:
            draft.append(data)
            draft.keep()

    at_target(path, write)


def _predecessor(target: Target) -> os.stat_result | None:
    """Whose owner and mode count: not of what a stranger laid where everybody may."""
    old = target.stat
    open_to_all = os.fstat(target.location.folder).st_mode & stat.S_IWOTH
    return None if old is None or (open_to_all and old.st_uid != os.geteuid()) else old


def _dress(fd: int, old: os.stat_result | None, mode: int | None) -> None:
    """Owner, group and mode."""
    if old is not None:
        kept = old.st_mode & 0o777
        if not _give(fd, old):
            kept = kept & 0o707 | (kept & 0o007) << 3  # another group gets no more than everybody
        mode = kept if mode is None else mode
    if mode is not None:
        os.fchmod(fd, mode)


def _give(fd: int, old: os.stat_result) -> bool:
    """To its old owner, as far as we may; whether it has the old group."""
    for uid in (old.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, uid, old.st_gid)
            return True
    return False
