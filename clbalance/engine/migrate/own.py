"""A move that this process carries out: nobody has the job in hand, so we take it, until it runs elsewhere."""

from dataclasses import replace

from clbalance.engine.agent.copies import LEAVE_RUNNING, Copies, Copy
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import label_of
from clbalance.engine.agent.listeners import JournalingListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.protocol import AgentEvent
from clbalance.engine.jobs.submitted import startable
from clbalance.engine.migrate.requested import MigrationResult, MigrationTask, NotMigrated, Undetermined, end_by_record
from clbalance.engine.run.migration import Migration
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import AttemptResult, DispatchResult, RunContext
from clbalance.engine.services import Services
from clbalance.errors import Interrupted
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.model.job import JobSpec
from clbalance.model.job_record import CopyRecord, JobRecord, MigrationRequest
from clbalance.policy.jobs.record import copies_without_outcome
from clbalance.policy.jobs.requeue import continues_elsewhere
from clbalance.ports import Closed

_CUT_SHORT = "its move was cut short"


def begin_local(
    services: Services, multiplexer: AgentMultiplexer, record: JobRecord, order: MigrationRequest, context: RunContext
) -> MigrationTask | NotMigrated:
    """Take the job in hand, and get in touch with its copy."""
    job = startable(services, record)
    if not services.journal.adopt(record.id, attempt=order.attempt):
        return NotMigrated(reason="another process has it in hand by now")
    copies = copies_without_outcome(record, services.journal.copies(record.id))
    if len(copies) != 1:
        services.journal.release(record.id)
        return NotMigrated(reason="it has ended")
    return LocalMigration(multiplexer, replace(job, claim=copies[0].claim), copies[0], order, context)


class LocalMigration:
    """Follows the copy that runs, moves it, and starts it anew; then lets it go."""

    def __init__(
        self,
        multiplexer: AgentMultiplexer,
        job: JobSpec,
        copy: CopyRecord,
        order: MigrationRequest,
        context: RunContext,
    ) -> None:
        services = context.services
        self._context = context
        self._services = services
        self._job = job
        self._request = order
        self._line = multiplexer.channel(label_of(job))
        self._copies = Copies(label_of(job), [Copy.of(copy)])
        listener = JournalingListener(services, job, context.listener, copies=0)  # that it was started is on record
        limit_s = job.time_limit_s
        self._follow = Follow(self._line, self._copies, services, listener, context.mode, limit_s=limit_s)
        self._order = Migration(context, job)
        self._multiplexer = multiplexer
        self._reached_by = services.clock.monotonic() + 2 * services.answer_within_s
        self._has_begun = False
        self._has_gone_on = False
        multiplexer.connect(self._line, self._on_event)
        self._follow.call_all()

    def poll(self) -> MigrationResult | None:
        """One more step, if there is one."""
        if self._has_gone_on or self._order.is_overdue:  # told to stop meanwhile; or its node does not speak
            return self.detach()
        if self._follow.is_over():
            return self._go_on()
        if self._has_begun:
            self._order.poll(self._line, self._copies, self._follow)
        elif self._follow.is_in_touch and not self._order.off:
            self._has_begun = True
            self._order.begin(self._request, self._line, self._copies, self._follow)
        elif self._services.clock.monotonic() >= self._reached_by:
            self._order.abort("its node does not answer")
        return self._release(NotMigrated(reason=self._order.off)) if self._order.off else None

    def cancel_pending(self) -> None:
        """What has not reached the job is called off."""
        if not self._order.is_meant:
            self._order.abort("it was interrupted")

    def detach(self) -> MigrationResult:
        """A job that was stopped already waits for the next `rebalance`."""
        self._order.release_target()
        journal, ends = self._services.journal, [outcome.end for outcome in self._copies.outcomes()]
        order = journal.migration_request_of(self._job.id)
        if ends and order is not None and continues_elsewhere(ends[0], order, self._context.restart_policy):
            journal.queue(self._job.id, attempt=self._job.attempt, reason=_CUT_SHORT)
        end = end_by_record(journal.record(self._job.id), self._job.attempt)
        return self._release(end or Undetermined(reason=_CUT_SHORT))

    def _on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        self._order.on_event(event)
        self._follow.on_event(node, event)

    def _go_on(self) -> MigrationResult:
        """The copy has ended, or is out of sight: as its run would go on, but that we leave when it is started."""
        reservation, self._order.reservation = self._order.reservation, None
        self._has_gone_on = True
        dispatched = DispatchResult(outcomes=self._copies.outcomes())
        ended = AttemptResult(job=self._job, plan=self._plan(), dispatched=dispatched, reservation=reservation)
        result = Run(replace(self._context, mode=LEAVE_RUNNING), self._job, self._context.restart_policy).go_on(ended)
        if result.dispatched is not None and result.dispatched.interrupted is not None:
            raise Interrupted(result.dispatched.interrupted)
        end = end_by_record(self._services.journal.record(self._job.id), self._job.attempt)
        reason = "its node does not answer"
        return self._release(
            end or (Undetermined(reason=reason) if self._order.is_meant else NotMigrated(reason=reason))
        )

    def _plan(self) -> Plan:
        """By which it came to where it is."""
        for placed in reversed(self._services.journal.placed(self._job.id)):
            if placed.attempt == self._job.attempt:
                return placed.plan
        chosen = tuple(copy.node for copy in self._copies)
        nothing = Snapshot(taken_at=self._services.clock.now(), answers=())
        return Plan(wanted=1, chosen=chosen, ranked=(), unfit=(), charged=nothing)

    def _release(self, end: MigrationResult) -> MigrationResult:
        for copy in self._copies:
            self._line.hang_up(copy.node)
        self._multiplexer.forget(self._line)
        self._services.journal.release(self._job.id)
        return end
