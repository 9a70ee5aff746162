"""A file whose content is known as a whole: who reads it sees the old or the new, never half of one."""

import contextlib
import os
import stat

from clbalance.user_files.appending import AppendedFile
from clbalance.user_files.checking import check_folder_of, check_replaceable
from clbalance.user_files.refusal import failed
from clbalance.user_files.target import Target, at_target, open_target

_STALLED_AFTER_S = 10.0
"""Nobody watches what cron writes: a FIFO whose reader sleeps is an error, and does not hold us for ever."""


def replace_file(path: str, data: bytes, *, mode: int | None = None, within_s: float = _STALLED_AFTER_S) -> None:
    """On the disk before it is seen. A device, FIFO or descriptor is written to in place.

    It keeps its owner and group as far as we may give them, and its mode, unless `mode` says which (also of a new one,
    else 0666 less the umask). `FileRefusedError`, or `FileFailedError` where nothing has changed.
    """

    def write(target: Target) -> None:
        if target.is_in_place:
            with AppendedFile(path, open_target(target), is_in_place=True, within_s=within_s) as file:
                file.append(data)
        else:
            check_folder_of(target)
            check_replaceable(target)
            _replace(target, data, mode)

    at_target(path, write)


def _replace(target: Target, data: bytes, mode: int | None) -> None:
    folder, path = target.location.folder, target.location.path
    old = _predecessor(target)
    fresh = f".clbalance-{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, 0o600 if old else 0o666, dir_fd=folder), "wb") as file:
            _dress(file.fileno(), old, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, target.location.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException as error:  # a signal that stops us is one too
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        if isinstance(error, OSError):
            raise failed(path, error) from error
        raise


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
