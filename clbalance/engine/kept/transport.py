"""A `Transport` whose sessions stay open for the next use (docs/design/kept-sessions.md)."""

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from clbalance.engine.kept.pool import TEND_EVERY_S, KeptTimes, SessionPool
from clbalance.engine.kept.view import SessionsView
from clbalance.errors import TransportError
from clbalance.model import NodeName
from clbalance.policy.kept_sessions import KeptLimits
from clbalance.policy.placement.select import Rng
from clbalance.ports import Clock, Link, Sessions, Sftp, Transport


class KeptTransport:
    """Keeps the sessions of `inner`. To be used in a `with` block, which ends them all.

    Another thread, and one more set of sessions at the same time, get sessions of `inner` that are not kept.
    """

    def __init__(self, inner: Transport, *, clock: Clock, rng: Rng, times: KeptTimes, limits: KeptLimits) -> None:
        self._inner = inner
        self._clock = clock
        self._pool = SessionPool(inner.sessions, clock=clock, rng=rng, times=times, limits=limits)
        self._keep = partial(KeptTransport, clock=clock, rng=rng, times=times, limits=limits)
        self._thread = threading.get_ident()
        self._others: dict[str, KeptTransport] = {}
        """By the user that they log in as."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for other in self._others.values():
                other.__exit__(kind, error, trace)
        finally:
            self._pool.end()

    def sessions(self) -> Sessions:
        """A view of the kept sessions."""
        if self._pool.is_used or threading.get_ident() != self._thread:
            return self._inner.sessions()
        return SessionsView(self._pool)

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """As of the inner transport."""
        return self._inner.terminal(node, command)

    def link(self, node: NodeName, command: str, *, within_s: float, idle_s: float, subsystem: bool = False) -> Link:
        """A connection of its own."""
        return self._inner.link(node, command, within_s=within_s, idle_s=idle_s, subsystem=subsystem)

    def sftp(self, connect: Callable[..., Link]) -> Sftp:
        """As of the inner transport."""
        return self._inner.sftp(connect)

    def as_user(self, user: str) -> "KeptTransport":
        """The same with another login; its sessions end with these."""
        if user not in self._others:
            self._others[user] = self._keep(self._inner.as_user(user))
        return self._others[user]

    @property
    def count(self) -> int:
        """How many sessions are open or begin."""
        return self._pool.count + sum(one.count for one in self._others.values())

    def tend(self) -> None:
        """Notice what has happened to the nodes, without waiting."""
        self._pool.tend()
        for other in self._others.values():
            other.tend()

    def rest(self, seconds: float) -> None:
        """Wait, and meanwhile notice what happens to the nodes. A signal that stops us ends it."""
        until_s = self._clock.monotonic() + seconds
        while (left_s := until_s - self._clock.monotonic()) > 0:
            if self._pool.is_begun:
                with contextlib.suppress(TransportError):  # all sessions have ended, and are begun anew when needed
                    self._pool.take(min(left_s, TEND_EVERY_S))
            else:
                self._clock.pause(left_s)
