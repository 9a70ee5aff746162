"""What people have put on nodes: leases, which hold a share of one, and marks that drain it."""

from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model.unknown import Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a lease takes of its node; `uptime_s` is the node's uptime when it was granted."""

    cpus: float = 0.0
    mem_bytes: int = 0
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    gpu_share: float = 1.0
    """Of each of them."""
    slots: int = 0
    exclusive: bool = False
    uptime_s: float = 0.0
    name: str = ""
    tmp_bytes: int = 0
    """In the temporary folder, for as long as it is held."""
    limit_cpus: float | None = None
    """What it may use at most; None: whatever is free."""
    limit_mem_bytes: int | None = None
    cpu_ids: tuple[int, ...] = ()
    """The cpus that it is bound to; empty: to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A promise that is held on a node at this moment, for the job `key`, by the user `uid`."""

    key: str
    attempt: int
    uid: int
    promise: Promise | Unknown
    """Unknown: it cannot be read, and then counts as a lease of the whole node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Whose drain came first, where several are asked for at once: an order that everyone sees alike."""

    at: datetime
    """When it was asked for, by the clock of who did."""
    key: str
    """128 random bits in hexadecimal."""

    def came_before(self, other: "Proposal") -> bool:
        """The earlier wins; of the same moment the smaller key."""
        return (self.at, self.key) < (other.at, other.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainMark:
    """No new work, says the user `uid`: for everyone where `binds_all`, else for himself.

    `by` and `reason` are his words. One that cannot be read counts, as "unreadable".
    """

    uid: int
    by: str
    reason: str
    at: datetime | None
    until: datetime | None
    """Void from then on; None: until it is taken away."""
    binds_all: bool
    proposal: Proposal | None = None
    """It may still be withdrawn; until then it counts like any other."""
