"""What could not be measured."""

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A quantity that was asked for and not learned."""

    why: str
