"""What one round of `top` knows: the answers of the nodes, the jobs of this host, groups, and the rounds before."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.heat import NodeGroup
from clbalance.policy.history import TimeCell
from clbalance.policy.jobs.leased import LeasedJob, leased_jobs
from clbalance.render.names import NO_NAMES, KnownNames
from clbalance.render.views import NodeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round. `taken_at`: when the last node had answered, in the local time zone."""

    number: int
    taken_at: datetime
    rows: tuple[NodeRow, ...]
    """In the order in which the nodes were named."""
    jobs: tuple[JobRecord, ...] = ()
    """Of this host, not over."""
    ended: tuple[JobRecord, ...] = ()
    """Of this host, over since a short while, the last one first."""
    user: str = ""
    """Whose jobs those are."""
    uid: int = -1
    names: KnownNames = NO_NAMES
    groupings: Mapping[str, tuple[NodeGroup, ...]] = field(default_factory=dict, hash=False)
    """By the ways in which nodes can be grouped: `groups`, each label, `name`."""
    recent: Mapping[NodeName, tuple[TimeCell, ...]] = field(default_factory=dict, hash=False)
    """The load of each cpu in the last rounds."""
    logins: int = 0
    """How many sessions with nodes are held open."""

    def leased(self) -> tuple[LeasedJob, ...]:
        """The running jobs of all users, as the leases show them."""
        return leased_jobs(row.answer for row in self.rows)

    def counts(self) -> Mapping[str, int]:
        """How many nodes are in each state, the most frequent first."""
        return dict(Counter(row.state for row in self.rows).most_common())

    def pending(self) -> int:
        """How many jobs of this host wait."""
        return sum(job.state is JobState.PENDING for job in self.jobs)
