"""What Slurm says of its nodes. Frozen values."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmNode:
    """A node as `scontrol show node` prints it."""

    node: NodeName
    state: str
    """The base state, such as `IDLE`, `MIXED` or `DOWN`."""
    flags: frozenset[str] = frozenset()
    """Such as `DRAIN` or `NOT_RESPONDING`."""
    reason: str = ""
    """Why it is drained or down, as somebody has written it; with who and when."""
