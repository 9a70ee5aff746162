"""The inputs of a run of one job, and the results of its attempts."""

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.services import PlacementQuery, Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import Outcome
from clbalance.ports import JobInput, RunListener

if TYPE_CHECKING:  # most jobs are never migrated
    from clbalance.engine.run.target import TargetReservation


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The inputs that stay the same over all attempts of a job."""

    services: Services
    query: PlacementQuery
    stdin: JobInput
    listener: RunListener
    mode: FollowMode
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    submit: Callable[[], int] | None = None
    """Gives the job its number, once nodes have admitted it. None: it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchResult:
    """The outcomes of the copies, without those left running. `interrupted`: the signal that ended it early."""

    outcomes: tuple[Outcome, ...]
    interrupted: int | None = None
    may_start_elsewhere: frozenset[NodeName] = frozenset()
    """The nodes that have not started it, for a reason of their own: `Copy.may_start_elsewhere`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The job as last tried, its plan, and the result. `dispatched` is None if nothing was started."""

    job: JobSpec
    plan: Plan
    dispatched: DispatchResult | None
    cancelled: bool = False
    """The job was cancelled, or held, before it could be started."""
    reservation: "TargetReservation | None" = None
    """The reservation for its next attempt, during a migration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The last plan of a job and its result. `dispatched` is None if the job was never started.

    `queued`: the pending reason if the job is queued now; None: it is not.
    """

    job: JobSpec
    plan: Plan
    dispatched: DispatchResult | None
    cancelled: bool = False
    queued: str | None = None

    @property
    def has_started(self) -> bool:
        """Whether the start came to something: the job runs, or has shown that it cannot be executed."""
        from clbalance.policy.jobs.requeue import never_started  # deferred import: docs/design/startup.md

        dispatched = self.dispatched
        return dispatched is not None and dispatched.interrupted is None and not never_started(dispatched.outcomes)
