"""A link: a pipe of bytes to one command on one node, for what lines of text are too slow: files."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

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
