"""What every use case needs of the world, gathered once by `cli`; and what is asked of a placement."""

from collections.abc import Callable, Mapping
from dataclasses import field, replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.ports import Clock, Journal, Store, SweepListener, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Ways to nodes, memory, time, and the texts that run on nodes. `answer_within_s` covers connection and answer."""

    transport: Transport
    store: Store
    journal: Journal
    clock: Clock
    listener: SweepListener
    probe_script: str
    agent_source: str
    answer_within_s: float
    session_limit: int = 4096
    """How many sessions this process can hold open at once."""
    fail_point: Callable[[str], None] = lambda _: None
    """Tests end the process here: the windows between two steps, by name (docs/design/jobs.md)."""
    suspect_after: int | None = 3
    """So many probes in a row that a node did not answer make it suspect; None: never."""
    cpu_factors: Mapping[NodeName, float] = field(default_factory=dict)
    slots: Mapping[NodeName, int] = field(default_factory=dict)
    """Of the nodes whose slots are counted."""
    labels: Mapping[NodeName, Mapping[str, str]] = field(default_factory=dict)
    taints: Mapping[NodeName, frozenset[str]] = field(default_factory=dict)
    keeps_user: bool = False
    """Who logs in was told for this call, and holds for all jobs that it looks after."""

    def as_user(self, user: str | None) -> "Services":
        """The same, its nodes reached as the user that a job remembers; None: it remembers none."""
        return self if user is None or self.keeps_user else replace(self, transport=self.transport.as_user(user))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementQuery:
    """What is to be placed, among whom, by which policy; `rng` orders equals."""

    candidates: tuple[NodeName, ...]
    request: Request
    policy: Policy
    rng: Rng
