"""What Slurm says of its nodes and jobs. Frozen values."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """A job as `squeue`, `sacct` or `scontrol show job` prints it."""

    name: str
    id: str
    state: str
    """Slurm's own word, such as `COMPLETING`."""
    reason: str = ""
    """Why it waits, or why it ended so; empty: no reason."""
    nodes: tuple[NodeName, ...] = ()
    began_at: str = ""
    """As `2026-11-30T17:44:14`, in the time zone of this host; empty: not begun."""
    ended_at: str = ""
    rc: int | None = None
    """None: not told."""
    signal: int = 0
