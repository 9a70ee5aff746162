"""A file that grows while a job runs: opening it, emptying it and adding to it are three steps."""

import os
from types import TracebackType
from typing import Self

from clbalance.user_files.refusal import failed
from clbalance.user_files.target import Kind, Target, at_target, open_target
from clbalance.user_files.writing import write_all


class AppendedFile:
    """Open for writing at its end, unbuffered: what was written can be read at once; others may append as well."""

    def __init__(self, path: str, fd: int, *, is_in_place: bool, within_s: float | None) -> None:
        self.path = path
        self.fd = fd
        self.is_in_place = is_in_place
        """A device, a FIFO or an open descriptor: nothing can be taken back."""
        self._within_s = within_s

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it, who wants no bytes that act on the terminal."""
        return self.is_in_place and os.isatty(self.fd)

    def empty(self) -> None:
        """Only a regular file has anything to lose."""
        if not self.is_in_place:
            try:
                os.ftruncate(self.fd, 0)
            except OSError as error:
                raise failed(self.path, error) from error

    def append(self, data: bytes) -> None:
        """All of it, or `FileFailedError`."""
        try:
            write_all(self.fd, data, within_s=self._within_s)
        except OSError as error:
            raise failed(self.path, error) from error

    def close(self) -> None:
        """Harmless the second time."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_for_appending(path: str, *, emptied: bool = False, within_s: float | None = None) -> AppendedFile:
    """Made if it is absent (0666 less the umask), never replaced, emptied only if so asked; or `FileRefusedError`.

    `within_s`: how long a FIFO's reader may take nothing. None is what standard output has that leads into a pipe: a
    pager that is not scrolled holds the writer up, who can be stopped with Ctrl-C, and goes on when it is scrolled.
    """

    def opened(target: Target) -> AppendedFile:
        fd = open_target(target)
        is_regular = target.kind in {Kind.ABSENT, Kind.REGULAR}
        return AppendedFile(path, fd, is_in_place=not is_regular, within_s=within_s)

    file = at_target(path, opened)
    if emptied:
        try:
            file.empty()
        except BaseException:
            file.close()
            raise
    return file
