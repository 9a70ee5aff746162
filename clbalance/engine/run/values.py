"""What a run of one job is given, and what came of its attempts."""

from dataclasses import field
from typing import TYPE_CHECKING

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.services import PlacementQuery, Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import Outcome
from clbalance.ports import JobInput, RunListener

if TYPE_CHECKING:  # most jobs are never moved
    from clbalance.engine.run.target import TargetReservation


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What stays the same over all attempts of a job."""

    services: Services
    query: PlacementQuery
    stdin: JobInput
    listener: RunListener
    mode: FollowMode
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchResult:
    """How the copies ended, but for those that were let go; `interrupted` is the signal that cut it short."""

    outcomes: tuple[Outcome, ...]
    interrupted: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The job as it was last tried, where, and what came of it; `dispatched` is None when nothing was started."""

    job: JobSpec
    plan: Plan
    dispatched: DispatchResult | None
    cancelled: bool = False
    """Somebody cancelled it before it could be started."""
    reservation: "TargetReservation | None" = None
    """Where a place was reserved for it to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Where a job went last and how it ended; `dispatched` is None when it was not started at all.

    `queued`: why it waits in the queue now; None: it does not.
    """

    job: JobSpec
    plan: Plan
    dispatched: DispatchResult | None
    cancelled: bool = False
    queued: str | None = None
