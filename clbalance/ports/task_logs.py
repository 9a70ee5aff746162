"""What is kept of the tasks of one job, in files that only grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # not needed to ask nodes for their load (docs/design/startup.md)
    from clbalance.errors import StoreError
    from clbalance.model.task import TaskEvent


class WrittenTasks(Protocol):
    """The tasks of one job whose whole output is in its files. One process adds, many may read."""

    def add(self, claim: int, number: int) -> None:
        """Add a task that the slot `claim` has run."""
        ...

    def all(self) -> frozenset[tuple[int, int]]:
        """All tasks, as pairs of claim and number."""
        ...


class TaskLog(Protocol):
    """The events of the tasks of one job, append-only. One process writes, many may read."""

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        """Append events. With `durable` these and all earlier ones are on disk when this returns."""
        ...

    def sync(self, done: Callable[[StoreError | None], None]) -> None:
        """Bring all events so far to disk, and call `done` then, perhaps in another thread. Do not wait for that."""
        ...

    def events(self) -> tuple[TaskEvent, ...]:
        """All readable events, in order. One that a crash has cut short is skipped."""
        ...

    def close(self) -> None:
        """Free what this holds, without waiting; a sync that was asked for is still done. It may be used again."""
        ...
