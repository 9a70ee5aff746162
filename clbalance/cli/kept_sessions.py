"""Sessions that a long-lived call keeps between its questions."""

import contextlib
import random
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clbalance.ports import Clock, Transport

if TYPE_CHECKING:  # most calls ask once
    from clbalance.engine.kept.pool import KeptTimes
    from clbalance.engine.kept.transport import KeptTransport
    from clbalance.engine.services import Services

_KEEPER: "ContextVar[SessionKeeper | None]" = ContextVar("keeper", default=None)
"""Of the call that carries out others. Other threads have none: they connect anew."""


def keeping_sessions(services: "Services", *, least_s: float | None = None) -> "KeptTransport":
    """The transport of these services, with sessions that stay open for the next use. `least_s`: as in `KeptTimes`."""
    from clbalance.engine.kept.pool import KeptTimes

    times = KeptTimes(begin_within_s=services.answer_within_s, answer_within_s=services.step_within_s, least_s=least_s)
    return _kept(services.transport, times, services.clock)


def kept_if_wanted(transport: Transport, clock: Clock, *, connect_s: float, answer_s: float) -> Transport:
    """The transport, with kept sessions if this call is one of many that one process carries out."""
    keeper = _KEEPER.get()
    return transport if keeper is None else keeper.keep(transport, clock, connect_s=connect_s, answer_s=answer_s)


@contextlib.contextmanager
def connecting_anew() -> Iterator[None]:
    """Transports that are made in this block keep no sessions: the login itself is of interest."""
    before = _KEEPER.set(None)
    try:
        yield
    finally:
        _KEEPER.reset(before)


class SessionKeeper:
    """Keeps the sessions of all transports that the calls of one process use, by what the transports are."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptTransport] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            for one in self._kept.values():
                stack.push(one)
        self._kept.clear()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Calls in this block use the kept sessions."""
        before = _KEEPER.set(self)
        try:
            yield
        finally:
            _KEEPER.reset(before)

    def keep(self, transport: Transport, clock: Clock, *, connect_s: float, answer_s: float) -> Transport:
        """The kept transport for this one, or for an earlier one that reaches nodes in the same way."""
        from clbalance.engine.kept.pool import KeptTimes

        key = f"{transport} {connect_s} {answer_s}"  # with all fields, which say how nodes are reached
        if key not in self._kept:
            times = KeptTimes(begin_within_s=connect_s + answer_s, answer_within_s=answer_s)
            self._kept[key] = _kept(transport, times, clock)
        return self._kept[key]

    def tend(self) -> None:
        """Notice what has happened to the nodes, without waiting."""
        for one in self._kept.values():
            one.tend()


def _kept(transport: Transport, times: "KeptTimes", clock: Clock) -> "KeptTransport":
    from clbalance.engine.kept.transport import KeptTransport
    from clbalance.policy.kept_sessions import KeptLimits
    from clbalance.transport.reach import raise_file_limit

    at_most_half = max(1, raise_file_limit() // 2)  # other sessions, and links, need descriptors, too
    limits = KeptLimits(most=min(KeptLimits().most, at_most_half))
    return KeptTransport(transport, clock=clock, rng=random.Random(), times=times, limits=limits)
