"""What jobs have left on nodes, as the nodes tell it. Frozen values; no input or output."""

from enum import StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName


class LeftoverKind(StrEnum):
    """Of what sort it is (docs/design/reap.md)."""

    PROCESSES = "processes"
    LEASE = "lease"
    HALF = "half"
    JOB = "job"
    BOOT = "boot"
    CLAIM = "claim"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing that nobody needs any more; `why` it is still there, although it should not be."""

    kind: LeftoverKind
    name: str
    size_bytes: int
    pids: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What one node has found, and taken away if told to; `cause` and `why` where it did not answer to the end."""

    node: NodeName
    found: tuple[Leftover, ...] = ()
    cause: Cause | None = None
    why: str = ""

    @property
    def answered(self) -> bool:
        """Whether this is all that there is."""
        return self.cause is None and not self.why
