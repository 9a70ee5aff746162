"""What came of a dispatch."""

from dataclasses import dataclass

from clbalance.model import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """How every copy ended; `interrupted` is the signal that cut it short."""

    outcomes: tuple[Outcome, ...]
    interrupted: int | None = None
