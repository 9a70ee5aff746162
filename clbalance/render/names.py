"""Names of users and of jobs in reports about nodes: what this host knows, and for other users what the nodes told."""

from collections.abc import Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Lease, Measured, NodeName
from clbalance.policy.jobs.leased import owner_and_key


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job of this host."""

    id: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """What is known of uids and of the keys of jobs."""

    users: Mapping[int, str] = field(default_factory=dict)
    """User names on this host."""
    users_there: Mapping[NodeName, Mapping[int, str]] = field(default_factory=dict)
    """User names that nodes told."""
    jobs: Mapping[str, KnownJob] = field(default_factory=dict)
    """The jobs of this host, by key."""

    def user(self, node: NodeName, uid: int) -> str | None:
        """The user's name here, else on the node; None: it has none."""
        return self.users.get(uid) or self.users_there.get(node, {}).get(uid)

    def shown_user(self, node: NodeName, uid: int) -> str:
        """The user for people."""
        return self.user(node, uid) or f"uid {uid}"

    def job(self, answer: Measured, lease: Lease) -> KnownJob | None:
        """The job of this host that holds the lease. Anybody can give a lease any key: those of others never count."""
        return self.jobs.get(lease.key) if lease.uid == answer.reading.uid else None

    def shown_job(self, answer: Measured, lease: Lease) -> str:
        """The job as it is typed: by its number here, else by its owner and the beginning of its key."""
        known = self.job(answer, lease)
        return owner_and_key(self.owner(lease.uid), lease.key) if known is None else str(known.id)

    def owner(self, uid: int) -> str:
        """The user as he is typed: what a node says of names is not asked."""
        return self.users.get(uid) or str(uid)


NO_NAMES = KnownNames()
