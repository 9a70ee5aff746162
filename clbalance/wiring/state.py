"""Opens the state database of this user on this host."""

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from clbalance.errors import StoreError
from clbalance.ports import JobLock, Journal, Store
from clbalance.store.location import state_directory, this_machine


class StateTalk(Protocol):
    """Is told what the user should know of the state database."""

    def moved(self, note: str) -> None:
        """It is in another folder than usual."""
        ...

    def lost_jobs(self, first: int, last: int) -> None:
        """It has lost the jobs with these numbers. That is told once."""
        ...

    def without(self, reason: str) -> None:
        """There is none: what follows is remembered in memory alone."""
        ...


@contextlib.contextmanager
def open_state(
    talk: StateTalk, *, needed: bool = False, lock: JobLock | None = None
) -> Iterator[tuple[Store, Journal]]:
    """The state database, or a substitute in memory: a full disk must not prevent a look at the load.

    If it is `needed`, `StoreError` instead: a job's number is useless when it is not recorded. `lock`: of a job that
    another process has handed over.
    """
    from clbalance.store.state import SqliteStore  # nodes are being connected to: docs/design/startup.md

    with contextlib.ExitStack() as stack:
        store: Store
        journal: Journal
        try:
            place = state_directory(os.environ, this_machine())
            if place.note:
                talk.moved(place.note)
            opened = stack.enter_context(SqliteStore.open(place.path))
            kept = stack.enter_context(contextlib.closing(opened.journal(lock)))
            if (lost := kept.lost_jobs()) is not None:
                talk.lost_jobs(lost.first, lost.last)
            store, journal = opened, kept
        except StoreError as error:
            if needed:
                raise
            talk.without(error.message)
            from clbalance.store.in_memory import InMemoryStore
            from clbalance.store.in_memory_journal import InMemoryJournal

            store, journal = InMemoryStore(), InMemoryJournal()
        yield store, journal
