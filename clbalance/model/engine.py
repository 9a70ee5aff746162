"""What is told to a batch system, and what it tells of its jobs and nodes. Frozen values."""

from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job import JobSpec
from clbalance.model.job_record import JobState, Outcome
from clbalance.model.reading import NodeName
from clbalance.model.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where in a batch system a job may run. It chooses the nodes."""

    partition: str = ""
    """Empty: the default one."""
    nodes: tuple[NodeName, ...] = ()
    """All of these, and no others; empty: any."""
    excluded: tuple[NodeName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    """One attempt of a job, as it is submitted to a batch system. `name` is its name there, and is never used twice."""

    name: str
    job: JobSpec
    request: Request
    candidates: tuple[NodeName, ...]
    group: str | None = None
    """The group that names the candidates, if one group alone does."""
    after: tuple[str, ...] = ()
    """Numbers in the batch system of the jobs that must be completed first."""
    account: str = ""
    """The batch system's account that pays for it; empty: the user's default one."""
    begin_at_s: float | None = None
    """It is not started before this, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An attempt whose files are written, and which the batch system has not been told of."""

    name: str
    words: tuple[str, ...] = ()
    """What it will be told."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch system has the job, under this number. Its nodes are not known yet."""

    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch system does not have the job, and it will never start."""

    reason: str


Answer: TypeAlias = Accepted | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineJob:
    """One attempt as its batch system shows it."""

    name: str
    id: str
    state: JobState
    reason: str = ""
    """Why it waits."""
    nodes: tuple[NodeName, ...] = ()
    """By rank; empty before it has any."""
    began_at_s: float | None = None
    """Since 1970."""
    is_forgotten: bool = False
    """It has begun, and the batch system does not know it any more: nobody knows whether and how it ended."""
    outcomes: tuple[Outcome, ...] = ()
    """Of all copies, once it is over; before that none."""

    @property
    def is_over(self) -> bool:
        """Whether none of its processes runs any more."""
        return bool(self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNode:
    """One node of a batch system. `reason`: why it gets no new jobs; empty if it gets some."""

    node: NodeName
    pools: tuple[str, ...] = ()
    """The partitions or queues that it is in."""
    reason: str = ""
