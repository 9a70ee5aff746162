"""What was seen of a node several times in a row, from this host. Values; no input or output."""

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What was seen of a node several times in a row, from this host."""

    silent: int = 0
    """Sweeps that it did not answer, up to the last one."""
    answered: int = 0
    """Sweeps that it has answered since it became suspect."""
    suspect: bool = False
    over: int = 0
    """Runs of `rebalance` in which it was over."""
    silent_at_s: float = 0.0
    """When it was last counted as silent; seconds since 1970."""
