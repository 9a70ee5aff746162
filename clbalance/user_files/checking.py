"""Whether a file could be written, before there is anything to write. Nothing is made, emptied or written."""

import errno
import os
import stat
from types import TracebackType
from typing import Self

from clbalance.user_files.refusal import FileRefusedError
from clbalance.user_files.target import Kind, Target, at_target, check_appendable, open_target


class CheckedFile:
    """Keeps a FIFO open until it is closed: the reader would take the end of a mere check for the end of the data."""

    def __init__(self, fd: int = -1, *, is_in_place: bool = False, is_of_this_process: bool = False) -> None:
        self._fd = fd
        self.is_of_this_process = is_of_this_process
        """An open descriptor, or its terminal: in another process the name means something else."""
        self.is_in_place = is_in_place
        """A device, a FIFO or an open descriptor, which is not replaced or emptied."""

    def close(self) -> None:
        """Once the file is open for writing, or is not wanted any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_writable(path: str, *, replaced: bool = False) -> CheckedFile:
    """`FileRefusedError` for what `open_for_appending`, or with `replaced` `replace_file`, would refuse now."""

    def check(target: Target) -> CheckedFile:
        match target.kind:
            case Kind.FIFO:
                return CheckedFile(open_target(target), is_in_place=True)
            case Kind.ABSENT:
                check_folder_of(target)
            case Kind.REGULAR if replaced:
                check_folder_of(target)
                check_replaceable(target)
            case Kind.REGULAR | Kind.DEVICE:
                check_appendable(target.location, target.stat)
                _check_file(target)
            case Kind.DESCRIPTOR:
                pass
        is_ours = target.kind is Kind.DESCRIPTOR or target.location.path == "/dev/tty"
        return CheckedFile(is_in_place=target.is_in_place, is_of_this_process=is_ours)

    return at_target(path, check)


def check_replaceable(target: Target) -> None:
    """Only the owner of a file, or of its folder, may rename over it where the folder has the sticky bit."""
    folder = os.fstat(target.location.folder)
    if (
        folder.st_mode & stat.S_ISVTX
        and target.stat is not None
        and os.geteuid() not in {0, folder.st_uid, target.stat.st_uid}
    ):
        raise FileRefusedError(
            target.location.path,
            "it belongs to somebody else, and its folder has the sticky bit",
            hint="name another file, or one in a folder of your own",
        )


def check_folder_of(target: Target) -> None:
    """`PermissionError` where no file can be made in it."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=target.location.folder, effective_ids=True):
        raise PermissionError(errno.EACCES, "")


def _check_file(target: Target) -> None:
    location = target.location
    # Without `follow_symlinks=False`, for which an older C library looks at the mode alone, and not at ACLs.
    if not os.access(location.name, os.W_OK, dir_fd=location.folder, effective_ids=True):
        raise PermissionError(errno.EACCES, "")
