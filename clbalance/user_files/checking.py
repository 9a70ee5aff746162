"""Checks in advance whether a file can be written. Nothing is made, emptied or written."""

import errno
import os
import stat
from types import TracebackType
from typing import Self

from clbalance.user_files.descriptor import Descriptor
from clbalance.user_files.refusal import FileRefusedError
from clbalance.user_files.target import Kind, Target, at_target, check_appendable, open_target


class CheckedFile(Descriptor):
    """The result of a check. `fd`: of a FIFO, which is kept open: its reader would take a close for the end.

    Close it once the file is open for writing, or is not needed any more.
    """

    def __init__(self, fd: int = -1, *, is_in_place: bool = False, is_of_this_process: bool = False) -> None:
        super().__init__(fd)
        self.is_of_this_process = is_of_this_process
        """An open descriptor or /dev/tty: the name means something else in another process."""
        self.is_in_place = is_in_place
        """A device, a FIFO or an open descriptor: never replaced or emptied."""


class CheckedFiles:
    """Several of them."""

    def __init__(self) -> None:
        self._files: list[CheckedFile] = []

    def add(self, file: CheckedFile) -> CheckedFile:
        """Keep one more."""
        self._files.append(file)
        return file

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors of the FIFOs, for a process that writes the files instead of us."""
        return tuple(file.fd for file in self._files if file.fd >= 0)

    def close(self) -> None:
        """Close the FIFOs."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_writable(path: str, *, replaced: bool = False) -> CheckedFile:
    """Raise `FileRefusedError` if `open_for_appending` would now; with `replaced`, if `replace_file` would."""

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
    """Raise `FileRefusedError` if a sticky bit lets only the owner of the file or the folder replace it."""
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
    """Raise `PermissionError` if no file can be made in the target's folder."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=target.location.folder, effective_ids=True):
        raise PermissionError(errno.EACCES, "")


def _check_file(target: Target) -> None:
    location = target.location
    # No `follow_symlinks=False`: with it, older C libraries check only the mode and ignore ACLs.
    if not os.access(location.name, os.W_OK, dir_fd=location.folder, effective_ids=True):
        raise PermissionError(errno.EACCES, "")
