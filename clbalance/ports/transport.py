"""The interfaces to nodes (`Transport`, `Sessions`) and to time (`Clock`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.model.slurm import SlurmNode
from clbalance.ports.links import Link, Sftp


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a node wrote to its standard output, without its newline."""

    node: NodeName
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The session is over. `cause` and `reason` say why a pending answer will not come."""

    node: NodeName
    cause: Cause
    reason: str


SessionEvent: TypeAlias = Line | Closed


class Sessions(Protocol):
    """Shells (`/bin/sh -s`) held open on nodes. The engine sends text to them and receives events, one at a time.

    Every opened node ends in exactly one `Closed`, unless `close` was called first. A node's deadline covers
    connecting, authentication, every answer and the tail after end of file; past it the node is `Closed` with
    `Cause.TIMEOUT` and its local process is gone. No node ever delays another.
    """

    @property
    def keeps(self) -> bool:
        """Whether shells that are released stay open for whoever opens their nodes next."""
        ...

    @property
    def through_gateways(self) -> bool:
        """Whether a node whose first text is its `last` is asked through a gateway. Its session cannot be kept then."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every session and every local process; nothing of ours is left behind."""
        ...

    def open(self, node: NodeName, *, within_s: float) -> None:
        """Queue a shell on `node`; its clock of `within_s` seconds starts when connecting starts.

        One that an interrupted step has left open ends first.
        """
        ...

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        """Write to the shell, also before it is up; `last` closes its standard input afterwards."""
        ...

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """Replace the node's deadline by one that starts now, or lift it."""
        ...

    def release(self, node: NodeName) -> None:
        """The shell has answered all that it was sent, and is not needed any more. There are no further events of this
        node. It ends, or is kept for whoever opens the node next.
        """
        ...

    def close(self, node: NodeName, *, fault: str = "") -> None:
        """End the session without further events of this node. `fault`: what is wrong with what it has sent."""
        ...

    def open_nodes(self) -> frozenset[NodeName]:
        """Nodes that were opened, and since then neither closed by `close` nor reported `Closed`."""
        ...

    def open_count(self) -> int:
        """The number of `open_nodes`, which takes no time."""
        ...

    def connected(self) -> frozenset[NodeName]:
        """Nodes that are asked without a login, as far as is known: earlier calls have left a connection or a shell."""
        ...

    def next(self, timeout_s: float) -> SessionEvent | None:
        """The next event, or None when there was none within `timeout_s`, or `wake` was called."""
        ...

    def wake(self) -> None:
        """Let the present or next call of `next` return None at once. May be called in any thread."""
        ...


class Transport(Protocol):
    """A way to reach nodes."""

    def sessions(self) -> Sessions:
        """A fresh, unopened set of sessions, to be used in a `with` block."""
        ...

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """The command line to execute here so that `command` runs on `node` in the current terminal."""
        ...

    def link(self, node: NodeName, command: str, *, within_s: float, idle_s: float, subsystem: bool = False) -> Link:
        """A pipe to `command` on `node`, which the login shell there parses; of ours alone, never with user text.

        It connects meanwhile: `LinkError` comes from the first `recv`. `within_s`: to the first byte received;
        `idle_s`: see `Link`. `subsystem`: `command` is the name of a subsystem of sshd, such as `sftp`. `UsageError`
        if there is no ssh program.
        """
        ...

    def sftp(self, connect: Callable[..., Link]) -> Sftp:
        """SFTP over `connect(command)` or `connect(command, subsystem=True)`. `LinkError`.

        If sshd has no such subsystem, its program is looked for in the usual places.
        """
        ...

    def as_user(self, user: str) -> Transport:
        """The same transport, but logging in as `user`. A transport without a login returns itself."""
        ...


class Clock(Protocol):
    """The time. Pure code gets it as an argument, and tests need not wait."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards, for durations and deadlines."""
        ...

    def pause(self, seconds: float) -> None:
        """Sleep; a signal that stops us ends it."""
        ...


class SlurmNodes(Protocol):
    """What Slurm says of its nodes, beside what they say of themselves."""

    def ask(self) -> None:
        """Begin to ask Slurm. Called as often as nodes are asked."""
        ...

    def nodes(self) -> Mapping[NodeName, SlurmNode]:
        """What it says, by node, at most about as old as the sweep; empty if it does not answer."""
        ...
