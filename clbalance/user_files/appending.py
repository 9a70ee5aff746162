"""A file that grows while a job runs. Opening, emptying and appending are separate steps."""

import os

from clbalance.user_files.descriptor import Descriptor
from clbalance.user_files.refusal import failed
from clbalance.user_files.target import Kind, Target, at_target, open_target
from clbalance.user_files.writing import write_all


class AppendedFile(Descriptor):
    """A file open for appending, unbuffered: data can be read at once, and other processes may append, too."""

    def __init__(self, path: str, fd: int, *, is_in_place: bool, within_s: float | None) -> None:
        super().__init__(fd)
        self.path = path
        self.is_in_place = is_in_place
        """A device, a FIFO or an open descriptor: written data cannot be removed again."""
        self._within_s = within_s

    @property
    def is_terminal(self) -> bool:
        """Whether it is a terminal, to which no control characters should be written."""
        return self.is_in_place and os.isatty(self.fd)

    def empty(self) -> None:
        """Truncate a regular file; do nothing to others. `FileFailedError`."""
        if not self.is_in_place:
            try:
                os.ftruncate(self.fd, 0)
            except OSError as error:
                raise failed(self.path, error) from error

    def append(self, data: bytes) -> None:
        """Write all of `data`, or raise `FileFailedError`."""
        try:
            write_all(self.fd, data, within_s=self._within_s)
        except OSError as error:
            raise failed(self.path, error) from error


def open_for_appending(path: str, *, emptied: bool = False, within_s: float | None = None) -> AppendedFile:
    """Open a file for appending; `FileRefusedError` if it is refused. It is made if missing (0666 less the umask).

    `emptied`: truncate it. `within_s`: how long a FIFO's reader may read nothing. None: for ever, as for a
    pipe on standard output: a pager that is not scrolled blocks its writer, until it is scrolled or Ctrl-C is typed.
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
