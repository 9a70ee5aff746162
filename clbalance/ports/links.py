"""A link: a pipe of bytes to one command on one node, for what lines of text are too slow: files."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName


class LinkError(Exception):
    """The link is over, or its other end is silent for too long. To be caught per node: it is that node's failure.

    `again`: another try, a moment later, may help.
    """

    def __init__(self, cause: Cause, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.again = again


class Link(Protocol):
    """The standard input and output of a command on a node. It is used in one thread; `close` works in any.

    From its start to the first byte received it has the time for an answer; from then on, each `send` and `recv` may
    wait `idle_s` without a byte that moves. A program that is frozen, here or there, is a `LinkError` by then.
    """

    @property
    def node(self) -> NodeName:
        """Where the command runs."""
        ...

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it, or raise `LinkError`. What arrives meanwhile is kept for `recv`, up to a limit."""
        ...

    def send_end(self) -> None:
        """The command reads end of file after what was sent."""
        ...

    def recv(self, most: int) -> bytes:
        """The next bytes, at least one; empty when the command has ended well and all was received.

        `LinkError` if it ended badly: the cause is what ssh's messages say.
        """
        ...

    def recv_ready(self) -> bool:
        """Whether `recv` would return at once."""
        ...

    def set_idle(self, idle_s: float) -> None:
        """Replace the time that a call may wait."""
        ...

    def close(self) -> None:
        """End the command's local process, with its group, at once. In any thread, also twice.

        A call that waits in another thread raises `LinkError`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """`close`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpFacts:
    """What SFTP tells of a file: times to the second only."""

    mode: int
    """With the kind of the file, as in `stat`."""
    size: int
    mtime_s: int
    uid: int


class SftpWriter(Protocol):
    """A new file that is being written."""

    def write(self, content: bytes | memoryview) -> None:
        """Write it all; an error may come with a later piece, or with `close`. `OSError`."""
        ...

    def close(self) -> None:
        """Wait until all was written. `OSError`."""
        ...


class Sftp(Protocol):
    """Files on a node without python3. Paths are absolute. Each call may raise `OSError` or `LinkError`."""

    def home(self) -> bytes:
        """The folder in which the login begins."""
        ...

    def facts(self, path: bytes, *, follow: bool = False) -> SftpFacts | None:
        """What is there; None: nothing. `follow`: of what a link leads to."""
        ...

    def names(self, path: bytes) -> list[tuple[bytes, SftpFacts]]:
        """What is in a folder."""
        ...

    def make_folder(self, path: bytes, *, mode: int) -> None:
        """Make a folder."""
        ...

    def create(self, path: bytes) -> SftpWriter:
        """Make a new file for us alone; `OSError` if something is there."""
        ...

    def read(self, path: bytes) -> Iterator[bytes]:
        """The content of a file, in pieces."""
        ...

    def set_facts(self, path: bytes, *, mode: int, mtime_s: int) -> None:
        """Set permissions and time of modification."""
        ...

    def replace(self, path: bytes, new: bytes) -> None:
        """Give a file another name at once, in place of what has it."""
        ...

    def remove(self, path: bytes, *, folder: bool = False) -> None:
        """Remove a file or link, or an empty folder."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...
