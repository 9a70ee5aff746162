"""The time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that the pure layer takes it as an argument and tests need not wait."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards, for durations and deadlines."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass; a signal that stops us ends it."""
        ...
