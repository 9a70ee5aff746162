"""Migrate a running job to another node, from its controller while that follows it (docs/design/rebalance.md).

Input: a request, given or found in the journal. Result: a reservation on the target, and the running copy is told to
end; or the migration was aborted before it reached the job. `policy/jobs/requeue.py` decides what the end means.
"""

from dataclasses import replace

from clbalance.engine.agent.copies import Copies
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.protocol import AgentEvent, Checkpointed
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.run.target import TargetReservation, reserve_target
from clbalance.engine.run.values import RunContext
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job import JobSpec
from clbalance.model.job_record import MigrationRequest, MigrationStage
from clbalance.nodeset import fold
from clbalance.policy.jobs.requeue import MISSED_CHECKPOINT, stop_reason
from clbalance.ports import Closed

_LOOK_EVERY_S = 1.0  # for a request in the journal
_KILLED_WITHIN_S = 5.0  # processes that KILL has not ended by then are reported and left
_CLAIMS_AHEAD = 50  # of those that the job's controller uses up when nodes refuse
_CLAIMS = 50  # one of so many is drawn: a claim is never used twice, and used ones are not remembered


class Migration:
    """Carries out migrations of the current attempt, one at a time. The follower of the job calls `poll` every turn."""

    def __init__(self, context: RunContext, job: JobSpec) -> None:
        self._context = context
        self._services = context.services
        self._job = job
        self._poll_target = 0.0
        self._order: MigrationRequest | None = None
        self.is_committed = False
        """Once true, the end of the attempt means that the job continues elsewhere."""
        self._checkpoint_by: float | None = None
        self._checkpointed = False
        self._ends_by: float | None = None
        self.reservation: TargetReservation | None = None
        self.abort_reason = ""
        """Why the last migration was aborted."""

    def follow_to_the_end(self, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        """As `Follow.to_the_end`, but migrations may be carried out meanwhile."""

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            self.on_event(event)
            follow.on_event(node, event)

        def is_over() -> bool:
            self.poll(agents, copies, follow)
            return follow.is_over()

        agents.listen(hear, is_over)

    def on_event(self, event: AgentEvent | Closed) -> None:
        """Handle an event of the job's node, before `Follow` gets it."""
        self._checkpointed = self._checkpointed or isinstance(event, Checkpointed)

    def poll(self, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        """Do the steps that are due."""
        now = self._services.clock.monotonic()
        if self._order is not None:
            self._follow_up(now, agents, copies, follow)
        elif now >= self._poll_target and follow.is_in_touch:
            self._poll_target = now + _LOOK_EVERY_S
            asked = self._requested()
            if asked is not None:
                self.begin(asked, agents, copies, follow)

    def begin(self, order: MigrationRequest, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        """Reserve the target, commit, and stop the job at the source; or abort."""
        services = self._services
        services.fail_point("move-asked")
        self._order, self.abort_reason, self.is_committed, self._checkpointed = order, "", False, False
        taken = reserve_target(self._context_of(order.dst), self._next_attempt(copies), order.dst)
        if isinstance(taken, str):
            self.abort(taken)
            return
        self.reservation = taken
        services.fail_point("move-reserved")
        if reason := self._commit(order, follow):
            self.abort(reason)
            return
        services.fail_point("move-meant")
        self._context.listener.migrating(self._job, order.dst, order.reason)
        self._stop(order, agents, copies, follow)
        services.fail_point("move-stopped")

    @property
    def is_overdue(self) -> bool:
        """Whether its node should have reported the end of the job by now."""
        return self._ends_by is not None and self._services.clock.monotonic() >= self._ends_by

    def abort(self, reason: str) -> None:
        """Abort before the job was told, or if it made no checkpoint: it runs on. An earlier commit by others stays."""
        order, self._order, self._checkpoint_by, self.abort_reason = self._order, None, None, reason
        self.release_target()
        if order is None:
            return
        try:
            journal = self._services.journal
            journal.abort_migration(
                self._job.id, attempt=order.attempt, reason=reason, unless_committed=not self.is_committed
            )
        except StoreError as error:
            self._services.listener.store_failed(error.message)

    def release_target(self) -> None:
        """Give the reservation on the target back."""
        if self.reservation is not None:
            self.reservation.close()
            self.reservation = None

    def _requested(self) -> MigrationRequest | None:
        try:
            order = self._services.journal.migration_request_of(self._job.id)
        except StoreError as error:
            self._services.listener.store_failed(error.message)
            return None
        is_requested = (
            order is not None and order.attempt == self._job.attempt and order.stage is MigrationStage.REQUESTED
        )
        return order if is_requested else None

    def _commit(self, order: MigrationRequest, follow: Follow) -> str:
        """Commit the migration in the journal. Returns why that failed, or "" if it is durable."""
        if not follow.is_in_touch:
            return "its node does not answer"
        journal = self._services.journal
        try:
            known = journal.migration_request_of(self._job.id)
            if known is not None and known == replace(
                order, stage=MigrationStage.ABORTED, abort_reason=known.abort_reason
            ):
                return known.abort_reason  # withdrawn by the requester
            self.is_committed = True
            return "" if journal.commit_migration(self._job.id, order) else "it was cancelled meanwhile"
        except StoreError as error:
            return error.message

    def _stop(self, order: MigrationRequest, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        checkpoint = self._context.restart_policy.checkpoint
        if checkpoint is None:
            self._end(order, agents, copies, follow)
            return
        self._checkpoint_by = self._services.clock.monotonic() + checkpoint.grace_s
        for copy in copies:
            agents.ask(copy.node, "checkpoint", job=copies.label, signal=checkpoint.signal, file=checkpoint.file)

    def _end(self, order: MigrationRequest, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        """End the job at the source. A node that does not report the end in time is called again, then given up."""
        self._checkpoint_by = None
        patience_s = self._job.grace_s + _KILLED_WITHIN_S + 2 * self._services.answer_within_s
        self._ends_by = self._services.clock.monotonic() + patience_s
        follow.end_all(stop_reason(order), self._job.grace_s)
        for copy in copies:
            agents.expect(copy.node, "end", within_s=patience_s - self._services.answer_within_s)

    def _follow_up(self, now: float, agents: Agents | AgentChannel, copies: Copies, follow: Follow) -> None:
        assert self._order is not None
        if self.reservation is not None:
            self.reservation.keep()
        if self._checkpoint_by is None:
            return
        if self._checkpointed:
            self._end(self._order, agents, copies, follow)
        elif now >= self._checkpoint_by and copies.unended():
            self.abort(MISSED_CHECKPOINT)

    def _context_of(self, node: NodeName) -> RunContext:
        return replace(self._context, query=replace(self._context.query, candidates=(node,)))

    def _next_attempt(self, copies: Copies) -> JobSpec:
        job = self._job
        claim = job.claim + _CLAIMS_AHEAD + int(self._context.query.rng.random() * _CLAIMS)
        where = fold(copy.node for copy in copies)
        return replace(job, attempt=job.attempt + 1, claim=claim, previous_nodes=where)
