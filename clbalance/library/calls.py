"""One use of the engine, in a thread of its own: the caller waits, with a deadline, and can stop it.

The engine ends what it has begun when `Interrupted` is raised in it. The command line raises it from signal handlers;
here `Stop` raises it at the next moment in which the engine waits for nodes. So the caller keeps its signals.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import TypeVar

from clbalance.engine.services import Services
from clbalance.errors import Interrupted
from clbalance.library.context import LOG, ProgramContext
from clbalance.model import NodeName
from clbalance.wiring.context import SystemClock
from clbalance.wiring.state import open_state

T = TypeVar("T")

_LOOK_EVERY_S = 0.1


class Stop:
    """The wish to stop one use of the engine. Thread-safe."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._is_told = False

    def ask(self) -> None:
        """End it, and what it has started on nodes."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()

    def look(self) -> float | None:
        """Raise `Interrupted` if it is to end, once: it cleans up then. Returns the seconds until the next look."""
        if self._is_told:
            return None
        if self._asked.is_set():
            self._is_told = True
            raise Interrupted(signal.SIGINT)
        return _LOOK_EVERY_S

    def pause(self, seconds: float) -> None:
        """Wait that long, or until it is to end."""
        if self._is_told:
            SystemClock().pause(seconds)
        else:
            self._asked.wait(seconds)
            self.look()


def carry_out(work: Callable[[Stop], T], *, timeout: float | None = None) -> T:
    """The result of `work`, which is done in a thread. `TimeoutError` if it has none after `timeout` seconds.

    After a timeout, and after an exception in the waiting thread such as `KeyboardInterrupt`, the work is stopped, and
    its end is awaited. Work that could not be stopped any more has a result: a job that runs must not be lost.
    """
    stop, ended = Stop(), Future[T]()

    def run() -> None:
        try:
            ended.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            ended.set_exception(error)

    thread = threading.Thread(target=run, name="clbalance")
    thread.start()
    try:
        is_in_time = bool(wait([ended], timeout).done)
    finally:
        stop.ask()
        thread.join()
    if not is_in_time and ended.exception() is not None:
        raise TimeoutError(f"it took more than {timeout:g} s")
    return ended.result()


class _Listener:
    """A `ports.SweepListener` that shows nothing."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def asked(self, total: int) -> None: ...

    def answered(self, node: NodeName) -> None: ...

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        self._stop.look()

    def done(self) -> None: ...

    def store_failed(self, reason: str) -> None:
        LOG.warning("continuing without the state database: %s", reason)


class _Clock(SystemClock):
    """The clocks of this machine; a pause ends when the use of the engine is to end."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def pause(self, seconds: float) -> None:
        self._stop.pause(seconds)


class _StateTalk:
    """Logs what there is to know of the state database."""

    def moved(self, note: str) -> None:
        LOG.info("%s", note)

    def lost_jobs(self, first: int, last: int) -> None:
        LOG.warning("the state database has lost the jobs %d to %d", first, last)

    def without(self, reason: str) -> None:
        LOG.warning("continuing without the state database: %s", reason)


@contextlib.contextmanager
def services_of(context: ProgramContext, stop: Stop, *, needs_store: bool = True) -> Iterator[Services]:
    """The services of the engine for one use. `StoreError` if the state database is needed, and there is none."""
    with open_state(_StateTalk(), needed=needs_store) as opened:
        services = context.engine_services(opened, _Listener(stop))
        yield replace(services, clock=_Clock(stop), show_unfinished=stop.look)
