"""Replaces a file as a whole: a reader sees the old or the new content, never half of it."""

import contextlib
import os
import stat

from clbalance.user_files.appending import AppendedFile
from clbalance.user_files.checking import check_folder_of, check_replaceable
from clbalance.user_files.refusal import FileRefusedError, failed
from clbalance.user_files.target import Target, at_target, open_target
from clbalance.user_files.writing import write_all

_STALLED_AFTER_S = 10.0
"""A FIFO whose reader reads nothing for so long is an error. Under cron, nobody would notice that we hang."""


class Draft:
    """New content, written to a temporary file beside the target. `keep` puts it in place; before, nothing is changed.

    It gets owner and group of the old file, as far as we may set them, and its mode, unless `mode` is given. A new file
    gets `mode`, or 0666 less the umask.
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
            _set_owner_and_mode(self._fd, old, mode)
        except BaseException as error:  # also a signal that stops us
            self.close()
            if isinstance(error, OSError):
                raise failed(self._path, error) from error
            raise

    def append(self, data: bytes) -> None:
        """Write all of `data`, or raise `FileFailedError`."""
        try:
            write_all(self._fd, data, within_s=None)
        except OSError as error:
            raise failed(self._path, error) from error

    def keep(self) -> None:
        """Sync it to disk, then replace the file. On `FileFailedError` nothing was changed."""
        try:
            os.fsync(self._fd)
            os.rename(self._fresh, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            raise failed(self._path, error) from error
        self._fresh = ""

    def close(self) -> None:
        """Remove the temporary file, unless it was kept. May be called twice."""
        folder, fd, self._folder, self._fd = self._folder, self._fd, -1, -1
        if fd >= 0:
            os.close(fd)
        if folder >= 0:
            if self._fresh and fd >= 0:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._fresh, dir_fd=folder)
            os.close(folder)


def open_draft(path: str) -> Draft:
    """A draft, for content that comes in pieces. `FileRefusedError`, also for devices, FIFOs and descriptors."""

    def draft(target: Target) -> Draft:
        if target.is_in_place:
            raise FileRefusedError(path, "it is not a regular file", hint="name a file")
        check_folder_of(target)
        check_replaceable(target)
        return Draft(target)

    return at_target(path, draft)


def replace_file(path: str, data: bytes, *, mode: int | None = None, within_s: float = _STALLED_AFTER_S) -> None:
    """Replace the whole content. A device, FIFO or descriptor is written to in place. `mode`: as in `Draft`.

    `FileRefusedError`, `FileFailedError`: a regular file was not changed.
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
    """The old file whose owner and mode are kept; None for a stranger's file in a world-writable folder."""
    old = target.stat
    open_to_all = os.fstat(target.location.folder).st_mode & stat.S_IWOTH
    return None if old is None or (open_to_all and old.st_uid != os.geteuid()) else old


def _set_owner_and_mode(fd: int, old: os.stat_result | None, mode: int | None) -> None:
    """Set owner and group of the old file, and the mode."""
    if old is not None:
        kept = old.st_mode & 0o777
        if not _set_owner(fd, old):
            kept = kept & 0o707 | (kept & 0o007) << 3  # another group gets the rights of others only
        mode = kept if mode is None else mode
    if mode is not None:
        os.fchmod(fd, mode)


def _set_owner(fd: int, old: os.stat_result) -> bool:
    """Set the old owner and group, as far as we may. Whether the group could be set."""
    for uid in (old.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, uid, old.st_gid)
            return True
    return False
