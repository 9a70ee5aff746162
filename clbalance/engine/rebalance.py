"""One run of `rebalance`: `decide`, then `carry_out`; a listener reports it (docs/design/rebalance.md).

    reconcile → sweep → choose jobs to start → plan migrations | report reconciled jobs → start → migrate → done

After every step each job runs or waits in exactly one place. If we die between two steps, the next run continues.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from clbalance.engine.jobs.conclude import cancel_unstarted
from clbalance.engine.migrate.migrate import migrate_jobs
from clbalance.engine.migrate.requested import MigrationOrder, MigrationResult
from clbalance.engine.rebalance_facts import (
    NodePool,
    PoolPlan,
    RebalanceInputs,
    ReconciledJob,
    choose_queued,
    our_uid,
    plan_pools,
    read_inputs,
)
from clbalance.engine.run.start_queued import QueuedStart, SubmittedInputs, start_waiting
from clbalance.engine.services import Services
from clbalance.errors import NoAnswerError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName
from clbalance.model.job_record import JobRecord
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.queues import PRIORITY, JobQueue
from clbalance.policy.queue.start import Chosen, PendingJob
from clbalance.policy.rebalance.values import BalanceSettings, PlannedMigration

_START_FOR_S: Final = 120.0
"""After this time the remaining pending jobs are left to the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceRequest:
    """The pools to balance, and the rules. `nodes`: those of all pools. `uid`: our user id if no node tells it."""

    nodes: tuple[NodeName, ...]
    pools: Sequence[NodePool]
    settings: BalanceSettings
    policy_of: Callable[[PendingJob], Policy]
    queue: JobQueue = PRIORITY
    rng: Rng
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceDecision:
    """Which jobs are started, which stay pending, which are migrated."""

    inputs: RebalanceInputs
    chosen: Chosen
    plans: tuple[PoolPlan, ...]

    @property
    def migrations(self) -> tuple[PlannedMigration, ...]:
        """The migrations of all pools, in the order in which they are carried out."""
        return tuple(move for one in self.plans for move in one.plan.migrations)

    @property
    def scores(self) -> tuple[float, float]:
        """Before and after, of the pool with the highest score before."""
        worst = max(self.plans, key=lambda one: one.plan.score_before)
        return worst.plan.score_before, worst.plan.score_after


class RebalanceListener(Protocol):
    """Is told of each step when it is done."""

    def reconciled(self, one: ReconciledJob) -> None:
        """A job without a controller was reconciled, and has changed."""
        ...

    def gave_up(self, record: JobRecord, reason: str) -> None:
        """A pending job can never be started."""
        ...

    def started(self, record: JobRecord, came: QueuedStart) -> None:
        """A pending job was started, or could not be."""
        ...

    def migrated(self, move: PlannedMigration, end: MigrationResult) -> None:
        """A migration has ended, well or not."""
        ...

    def done(self) -> None:
        """Nothing more follows."""
        ...


def decide(services: Services, request: RebalanceRequest, *, counts: bool) -> RebalanceDecision:
    """Ask the nodes and the store, and decide. Nothing is changed, apart from recording jobs that have ended.

    `counts`: as in `plan_pools`. `NoAnswerError` if no node has answered.
    """
    inputs = read_inputs(services, request.nodes)
    if not any(isinstance(answer, Measured) for answer in inputs.snapshot.answers):
        raise NoAnswerError("no node has answered", hint="`clbalance load` shows each with its reason")
    chosen, charged = choose_queued(services, inputs, request.policy_of, request.rng, request.queue)
    uid = our_uid(inputs.snapshot, otherwise=request.uid)
    plans = plan_pools(services, charged, request.pools, request.settings, uid=uid, counts=counts)
    return RebalanceDecision(inputs=inputs, chosen=chosen, plans=plans)


def carry_out(
    services: Services, decision: RebalanceDecision, submitted_inputs: SubmittedInputs, listener: RebalanceListener
) -> None:
    """Start pending jobs, then migrate running ones: that is the order in which they were planned."""
    for one in decision.inputs.reconciled:
        listener.reconciled(one)
    _give_up(services, decision, listener)
    _record_pending_reasons(services, decision)
    _start(services, decision, submitted_inputs, listener)
    _migrate(services, decision, submitted_inputs, listener)
    listener.done()


def _give_up(services: Services, decision: RebalanceDecision, listener: RebalanceListener) -> None:
    for job, reason in decision.chosen.never.items():
        cancel_unstarted(services, job, reason)
        listener.gave_up(decision.inputs.queued[job].record, reason)


def _record_pending_reasons(services: Services, decision: RebalanceDecision) -> None:
    """Only for jobs with a candidate that was asked; nothing new is known of the others."""
    asked = frozenset(answer.node for answer in decision.inputs.snapshot.answers)
    queued = decision.inputs.queued
    for job, reason in decision.chosen.waits.items():
        record = queued[job].record
        if reason != record.reason and not asked.isdisjoint(queued[job].submitted.candidates):
            services.journal.queue(job, attempt=record.attempt, reason=reason)


def _start(
    services: Services, decision: RebalanceDecision, submitted_inputs: SubmittedInputs, listener: RebalanceListener
) -> None:
    queued = decision.inputs.queued
    until = services.clock.monotonic() + _START_FOR_S
    for job, nodes in decision.chosen.starts:
        one = queued[job]
        if services.clock.monotonic() < until:
            listener.started(one.record, start_waiting(services, one.record, one.submitted, submitted_inputs, nodes))


def _migrate(
    services: Services, decision: RebalanceDecision, submitted_inputs: SubmittedInputs, listener: RebalanceListener
) -> None:
    asked = {
        MigrationOrder(job=one.job, src=one.src, dst=one.dst, reason=one.reason): one for one in decision.migrations
    }
    if not asked:
        return

    def tell(move: MigrationOrder, end: MigrationResult) -> None:
        listener.migrated(asked[move], end)

    migrate_jobs(services, list(asked), submitted_inputs.query_of, submitted_inputs.input_of, tell)
