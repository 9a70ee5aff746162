"""A migration that this process carries out: the job has no controller, so we control it until it runs elsewhere."""

from dataclasses import replace
from functools import partial

from clbalance.engine.agent.copies import LEAVE_RUNNING, Copies, Copy
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import label_of
from clbalance.engine.agent.listeners import JournalingListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.protocol import AgentEvent
from clbalance.engine.jobs.cancel import cancel_requested
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

_CUT_SHORT = "its migration was interrupted"


def begin_local(
    services: Services, multiplexer: AgentMultiplexer, record: JobRecord, order: MigrationRequest, context: RunContext
) -> MigrationTask | NotMigrated:
    """Become the controller of the job, and call the node of its copy."""
    job = startable(services, record)
    if not services.journal.adopt(record.id, attempt=order.attempt):
        return NotMigrated(reason="another process controls it now")
    copies = copies_without_outcome(record, services.journal.copies(record.id))
    if len(copies) != 1:
        services.journal.release(record.id)
        return NotMigrated(reason="it has ended")
    return LocalMigration(multiplexer, replace(job, claim=copies[0].claim), copies[0], order, context)


class LocalMigration:
    """Follows the running copy, ends it, starts the next attempt on the target, and releases the job."""

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
        self._channel = multiplexer.channel(label_of(job))
        self._copies = Copies(label_of(job), [Copy.of(copy)])
        listener = JournalingListener(services, job, context.listener, copies=0)  # its start is recorded already
        self._follow = Follow(
            self._channel,
            self._copies,
            services,
            listener,
            context.mode,
            limit_s=job.time_limit_s,
            early_end=EarlyEnd(services.clock, partial(cancel_requested, services, job.id)),
        )
        self._migration = Migration(context, job)
        self._multiplexer = multiplexer
        self._reached_by = services.clock.monotonic() + 2 * services.answer_within_s
        self._has_begun = False
        self._has_continued = False
        multiplexer.connect(self._channel, self._on_event)
        self._follow.call_all()

    def poll(self) -> MigrationResult | None:
        """Do the next step, if one is due."""
        if self._has_continued or self._migration.is_overdue:  # we were stopped meanwhile, or its node does not answer
            return self.detach()
        if self._follow.is_over():
            return self._continue_run()
        if self._has_begun:
            self._migration.poll(self._channel, self._copies, self._follow)
        elif self._follow.is_in_touch and not self._migration.abort_reason:
            self._has_begun = True
            self._migration.begin(self._request, self._channel, self._copies, self._follow)
        elif self._services.clock.monotonic() >= self._reached_by:
            self._migration.abort("its node does not answer")
        return self._release(NotMigrated(reason=self._migration.abort_reason)) if self._migration.abort_reason else None

    def cancel_pending(self) -> None:
        """Abort the migration unless it is committed."""
        if not self._migration.is_committed:
            self._migration.abort("it was interrupted")

    def detach(self) -> MigrationResult:
        """Release the job. If it was stopped already, it is queued for the next `rebalance`."""
        self._migration.release_target()
        journal, ends = self._services.journal, [outcome.end for outcome in self._copies.outcomes()]
        order = journal.migration_request_of(self._job.id)
        if ends and order is not None and continues_elsewhere(ends[0], order, self._context.restart_policy):
            journal.queue(self._job.id, attempt=self._job.attempt, reason=_CUT_SHORT)
        end = end_by_record(journal.record(self._job.id), self._job.attempt)
        return self._release(end or Undetermined(reason=_CUT_SHORT))

    def _on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        self._migration.on_event(event)
        self._follow.on_event(node, event)

    def _continue_run(self) -> MigrationResult:
        """The copy has ended or cannot be reached: continue as its `run` would, but leave once the job is started."""
        reservation, self._migration.reservation = self._migration.reservation, None
        self._has_continued = True
        dispatched = DispatchResult(outcomes=self._copies.outcomes())
        ended = AttemptResult(job=self._job, plan=self._plan(), dispatched=dispatched, reservation=reservation)
        context = replace(self._context, mode=LEAVE_RUNNING)
        # Its own `run` is gone: if it cannot start again now, it is queued, as whoever reconciles it would do.
        result = Run(context, self._job, context.restart_policy, queued=True).continue_after(ended)
        if result.dispatched is not None and result.dispatched.interrupted is not None:
            raise Interrupted(result.dispatched.interrupted)
        end = end_by_record(self._services.journal.record(self._job.id), self._job.attempt)
        reason = "its node does not answer"
        return self._release(
            end or (Undetermined(reason=reason) if self._migration.is_committed else NotMigrated(reason=reason))
        )

    def _plan(self) -> Plan:
        """The plan by which the current attempt was placed."""
        for placed in reversed(self._services.journal.placed(self._job.id)):
            if placed.attempt == self._job.attempt:
                return placed.plan
        chosen = tuple(copy.node for copy in self._copies)
        nothing = Snapshot(taken_at=self._services.clock.now(), answers=())
        return Plan(wanted=1, chosen=chosen, ranked=(), unfit=(), charged=nothing)

    def _release(self, end: MigrationResult) -> MigrationResult:
        for copy in self._copies:
            self._channel.hang_up(copy.node)
        self._multiplexer.forget(self._channel)
        self._services.journal.release(self._job.id)
        return end
