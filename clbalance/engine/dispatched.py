"""What came of a dispatch."""

from clbalance.job import Outcome
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """How the copies ended, but for those that were let go; `interrupted` is the signal that cut it short."""

    outcomes: tuple[Outcome, ...]
    interrupted: int | None = None
