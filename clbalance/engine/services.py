"""The services that every use case needs, built once by `cli`; and the query for a placement."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan, Reading, Request, Unfit
from clbalance.model.job import JobSpec
from clbalance.model.job_record import JobRecord
from clbalance.model.request import HiddenGpus
from clbalance.policy.placement.policies import Policy
from clbalance.ports import Clock, FileListener, Journal, SlurmNodes, Store, SweepListener, Transport

if TYPE_CHECKING:  # few jobs have files that travel, and nodes are selected once they have answered
    from clbalance.engine.files.transfers import Transfers
    from clbalance.policy.placement.select import Rng


def no_file_listener() -> FileListener:
    """Shows nothing of files on their way."""
    from clbalance.engine.files.transfers import NullFileListener  # few jobs have files that travel

    return NullFileListener()


def no_transfers(_: "Services") -> "Transfers":
    """For a use case that needs none."""
    raise AssertionError("no files travel here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Transport, stores, clock, and the programs sent to nodes. `answer_within_s` covers connection and answer."""

    transport: Transport
    store: Store
    journal: Journal
    clock: Clock
    listener: SweepListener
    probe_script: str
    agent_source: Callable[[], str]
    """Cached: the first call packs the agent, which takes 20 ms."""
    answer_within_s: float
    step_within_s: float = 5.0
    """For an answer to one request over an open session."""
    session_limit: int = 4096
    """How many sessions this process can hold open at once."""
    fail_point: Callable[[str], None] = lambda _: None
    """Called with a name between two steps, so that tests can end the process there (docs/design/jobs.md)."""
    show_unfinished: Callable[[], float | None] = lambda: None
    """Called before each wait for nodes: shows output that has waited long enough for the end of its line. Returns the
    seconds until it must be called again; None: nothing waits."""
    grace_s: float | None = None
    """How much longer the rest of the nodes is waited for once enough have answered. None: the policy's own grace."""
    shortlist_age_s: float | None = None
    """Where few of many nodes are needed, what answered within this time decides which are asked. None: all are."""
    suspect_after: int | None = 3
    """A node is suspect after so many failed probes in a row. None: never."""
    completed: Callable[[NodeName, Reading], Reading] = lambda _, reading: reading
    """Completes the reading of a node that is this machine by what can be read here without asking it."""
    slurm: SlurmNodes | None = None
    """Says which nodes Slurm gives no jobs. None: it is not asked."""
    cpu_factors: Mapping[NodeName, float] = field(default_factory=dict)
    slots: Mapping[NodeName, int] = field(default_factory=dict)
    """Only for nodes with a configured number of slots."""
    labels: Mapping[NodeName, Mapping[str, str]] = field(default_factory=dict)
    taints: Mapping[NodeName, frozenset[str]] = field(default_factory=dict)
    hidden_gpus: HiddenGpus = HiddenGpus.LEASED
    """From jobs that ask for no GPU."""
    notify: Callable[[str, JobRecord], None] = lambda *_: None
    """Runs the command of `--notify` for a job that is over."""
    start_queued: Callable[["Services", Collection[int]], None] = lambda *_: None
    """Starts those of these queued jobs that fit, for a process that waits for their ends."""
    forced: Callable[["Services", JobSpec, Sequence[Unfit]], None] = lambda *_: None
    """Is told what `--force` has set aside for a job, once its nodes have admitted it."""
    transfers: Callable[["Services"], "Transfers"] = no_transfers
    """Makes what carries the files of one job to and from its nodes."""
    file_listener: Callable[[], FileListener] = no_file_listener
    """Is told of the files of one job while they are on their way."""
    typed_user: str | None = None
    """The login user that was given for this call; it overrides the user that each job remembers."""
    owner: int | None = None
    """The uid that root's agents become (docs/design/administrator.md). None: they stay who they are."""

    @contextlib.contextmanager
    def without_store(self) -> Iterator[None]:
        """Go on with a warning if the block fails with a `StoreError`: that loses history, not the job."""
        try:
            yield
        except StoreError as error:
            self.listener.store_failed(error.message)

    def tell_forced(self, job: JobSpec, plan: Plan, nodes: Collection[NodeName]) -> None:
        """Tell `forced` of these nodes of the plan, if anything was set aside there."""
        if aside := [one for one in plan.set_aside if one.node in nodes]:
            self.forced(self, job, aside)

    def as_user(self, user: str | None) -> "Services":
        """The same services, but log in as `user`, which a job remembers. None: the job remembers none."""
        return (
            self
            if user is None or self.typed_user is not None
            else replace(self, transport=self.transport.as_user(user))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementQuery:
    """What to place, on which candidates, by which policy. `rng` decides between equal scores."""

    candidates: tuple[NodeName, ...]
    request: Request
    policy: Policy
    rng: "Rng"
