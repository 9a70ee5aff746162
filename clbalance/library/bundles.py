"""Collects what is submitted into bundles, each carried out by a thread of its own that ends with the last of them.

There is no thread while nothing is to do: an executor that is forgotten keeps no interpreter from ending.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from clbalance.lazy_dataclass import dataclass
from clbalance.library.calls import Stop
from clbalance.library.values import Completed

_GATHER_S = 0.02
"""A bundle begins when nothing was submitted for so long: a loop of `submit` makes one bundle."""
_GATHER_MOST_S = 0.5
"""No longer than this."""
MOST_BUNDLES = 8
"""At once. Each is a job, with a connection to every node that it uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One command that was submitted. `result_of` makes the result of its future."""

    words: tuple[str, ...]
    given: tuple[str, ...]
    """The words as the caller knows them."""
    future: "Future[Any]"
    result_of: Callable[[Completed], Any]

    @classmethod
    def of(cls, words: tuple[str, ...]) -> "Item":
        """A command whose result is what it has printed and how it ended."""
        return cls(words=words, given=words, future=Future(), result_of=lambda completed: completed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Commands that are run together. `at_once`: how many of them; None: as many as fit."""

    items: Sequence[Item]
    at_once: int | None
    stop: Stop


class Bundles:
    """The bundles of one executor. Thread-safe."""

    def __init__(self, run: Callable[[Bundle], None], most_at_once: int | None) -> None:
        """`run` carries out a bundle; every future of it is done then. `most_at_once`: commands, over all bundles."""
        self._run = run
        self._most_at_once = most_at_once
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._running: list[Bundle] = []
        self._threads: set[threading.Thread] = set()
        self._gathers = False
        self._is_shut = False

    def add(self, items: Iterable[Item], *, are_all: bool = False) -> None:
        """Have these carried out. `are_all`: no more come with them. `RuntimeError` after `shut`."""
        with self._changed:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.extend(items)
            self._changed.notify_all()
            self._begin(gathers=not are_all)

    def shut(self, *, cancel: bool) -> None:
        """Take nothing more. `cancel`: what no node has begun is cancelled."""
        with self._changed:
            self._is_shut = True
            items = [*self._waiting, *(one for bundle in self._running for one in bundle.items)]
            self._changed.notify_all()
        for item in items if cancel else ():
            item.future.cancel()  # calls functions of the program

    def stop(self) -> None:
        """End everything, also what runs on nodes."""
        self.shut(cancel=True)
        with self._changed:
            for bundle in self._running:
                bundle.stop.ask()

    def wait(self) -> None:
        """Wait until all is done."""
        while True:
            with self._changed:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()

    def _begin(self, *, gathers: bool) -> None:
        """Start a thread for what waits, if there may be one more, and no other is about to take it."""
        if self._gathers or not self._waiting or not self._may_run_more():
            return
        self._gathers = True
        thread = threading.Thread(target=self._work, args=(gathers,), name="clbalance-bundle")
        self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._gathers = False
            self._threads.discard(thread)
            raise

    def _may_run_more(self) -> bool:
        return len(self._running) < MOST_BUNDLES and self._free() != 0

    def _free(self) -> int | None:
        """How many more commands may run at once; None: any number."""
        if self._most_at_once is None:
            return None
        return self._most_at_once - sum(bundle.at_once or 0 for bundle in self._running)

    def _work(self, gathers: bool) -> None:
        try:
            while (bundle := self._next(gathers)) is not None:
                try:
                    self._run(bundle)
                finally:
                    with self._changed:
                        self._running.remove(bundle)
                gathers = False  # what waits now has waited for room
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())

    def _next(self, gathers: bool) -> Bundle | None:
        """The next bundle, once all is there that belongs to it; None: nothing waits, or there is no room."""
        with self._changed:
            until = time.monotonic() + _GATHER_MOST_S
            while gathers and not self._is_shut and time.monotonic() < until:
                gathers = self._changed.wait(_GATHER_S)
            self._gathers = False
            if not self._waiting or not self._may_run_more():
                return None
            items = tuple(self._waiting)
            self._waiting.clear()
            free = self._free()
            bundle = Bundle(items=items, at_once=None if free is None else min(free, len(items)), stop=Stop())
            self._running.append(bundle)
            return bundle
