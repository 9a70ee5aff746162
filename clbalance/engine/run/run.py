"""All of `clbalance run`: try to place the job until it fits, and start it again as its restart policy says."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from signal import SIGHUP

from clbalance.engine.jobs.conclude import (
    cancel_unstarted,
    finish_job,
    recorded_state_after_attempt,
    refuse,
    release,
    requeue,
    seconds_left,
    too_late,
)
from clbalance.engine.jobs.wait import (
    PlacementWait,
    as_updated,
    kept_back,
    wait_for_dependencies,
    wait_until_eligible,
    was_held,
)
from clbalance.engine.run.attempt import attempt, start_reserved
from clbalance.engine.run.restart import MOST_STARTS_IN_VAIN, PendingRestart
from clbalance.engine.run.values import AttemptResult, DispatchResult, RunContext, RunResult
from clbalance.errors import Interrupted
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import state_of
from clbalance.policy.jobs.requeue import (
    Requeued,
    Retry,
    failed_before,
    never_started,
    next_retry,
    nodes_to_exclude,
    wait_reason,
)
from clbalance.policy.placement.explain import unfit_summary

_PAUSE_IN_VAIN_S = 0.5  # doubled after each start that came to nothing


class Run:
    """One job that this process controls, from its first attempt to its last.

    `queued`: it was accepted, and returns to the queue if it was not started. A detached controller waits for room as
    long as it takes, or as its `--queue-for` allows.
    """

    def __init__(
        self,
        context: RunContext,
        job: JobSpec,
        restart_policy: RestartPolicy,
        excluded_nodes: Mapping[NodeName, str] | None = None,
        *,
        queued: bool = False,
    ) -> None:
        self._context = replace(context, restart_policy=restart_policy)
        self._services = context.services
        self._query = context.query
        self._job = job
        self._restart_policy = restart_policy
        self._excluded_nodes = dict(excluded_nodes or {})
        self._queued = queued
        self._is_supervised = queued and context.mode.is_supervised
        self._in_vain = 0
        self._failures = 0
        self._node_failures = 0
        self._pending_restart = PendingRestart(context.services, restart_policy)

    def carry_out(self) -> RunResult:
        """Run the job as far as `context.mode` follows it."""
        try:
            later = wait_for_dependencies(
                self._services,
                self._job.id,
                self._restart_policy,
                self._context.listener.waiting,
                accepted=self._is_supervised,
                queued=self._queued,
            )
            if later is not None:
                return RunResult(job=self._job, plan=self._no_plan(), dispatched=None, queued=later)
            return self._to_the_end(self._wait_for_place())
        except Interrupted as stop:
            hung_up = stop.signum == SIGHUP and self._pending_restart.is_under_way  # SIGHUP ends no job that has run
            if not (
                hung_up and requeue(self._services, self._job.id, "its `run` lost the terminal during its migration")
            ):
                self._cancel_unstarted(f"stopped by signal {stop.signum}")
            raise
        except BrokenPipeError:
            self._cancel_unstarted("its output was not read any more")
            raise

    def continue_after(self, tried: AttemptResult) -> RunResult:
        """Continue after an attempt that another process started, and whose end we have seen."""
        record = self._services.journal.record(self._job.id)
        if record is not None:
            copies = self._services.journal.copies(record.id)
            self._failures, self._node_failures = failed_before(record, self._restart_policy, copies)
        return self._to_the_end(tried)

    def _to_the_end(self, tried: AttemptResult) -> RunResult:
        """From attempt to attempt."""
        with self._pending_restart:
            while True:
                once_more = self._again(tried)
                if once_more is None:
                    return self._finish(tried)
                if not self._prepare(tried, once_more):
                    return self._finish(replace(tried, dispatched=None, cancelled=True))
                reserved = self._pending_restart.start(self._job, partial(start_reserved, self._context))
                tried = self._wait_for_place() if reserved is None or self._was_held(reserved) else reserved
                self._job = tried.job

    def _wait_for_place(self) -> AttemptResult:
        """The first attempt that was placed; or the last one, if nothing fits for as long as the job may wait."""
        wait = PlacementWait(self._services, self._may_wait_s(), self._query.rng)
        has_waited = False
        while True:
            if self._returns_to_queue and kept_back(self._services, self._job.id):
                return AttemptResult(job=self._job, plan=self._no_plan(), dispatched=None)
            if wait_until_eligible(self._services, self._job.id, self._context.listener.waiting):
                wait = PlacementWait(self._services, self._may_wait_s(), self._query.rng)
            self._job = as_updated(self._services, self._job)
            tried = attempt(self._context, self._job, self._excluded_nodes, has_waited=has_waited)
            self._job = tried.job
            if self._was_held(tried) and not self._returns_to_queue:
                self._job = replace(tried.job, claim=tried.job.claim + 1)  # a claim is never used twice
                continue
            if tried.plan.fits or not tried.job.id:
                return tried
            job, plan = self._job, tried.plan
            self._services.journal.record_unplaced(job.id, attempt=job.attempt, claim=job.claim, plan=plan)
            if wait.is_over:
                return tried
            if not self._set_pending_reason(unfit_summary(plan, len(self._query.candidates))):
                return replace(tried, cancelled=True)
            wait.pause()
            has_waited = True

    @property
    def _returns_to_queue(self) -> bool:
        """Whether a job that may not be started now is queued, and not waited for here."""
        return (self._queued or self._restart_policy.queue) and not self._is_supervised

    def _was_held(self, tried: AttemptResult) -> bool:
        """Whether the start was refused because the job was held, not cancelled."""
        return tried.cancelled and was_held(self._services, tried.job.id)

    def _kept_in_queue(self, tried: AttemptResult) -> str:
        """Why a job returns to the queue, if it is not for want of room; else empty."""
        if not self._returns_to_queue:
            return ""
        return kept_back(self._services, self._job.id) or ("held for a moment" if self._was_held(tried) else "")

    def _may_wait_s(self) -> float:
        """How long the next attempt may wait for room. A process that leaves the job when it runs does not wait."""
        if self._pending_restart.is_under_way:
            return 0.0 if self._context.mode.leave_when_started else math.inf
        if not self._is_supervised:
            return self._restart_policy.queue_for_s or 0.0
        record = self._services.journal.record(self._job.id)
        return math.inf if record is None else seconds_left(self._services, record, self._restart_policy)

    def _again(self, tried: AttemptResult) -> Retry | None:
        dispatched, mode = tried.dispatched, self._context.mode
        self._pending_restart.hold(tried.reservation)
        if dispatched is None:
            return None
        if dispatched.interrupted is not None and (mode.ends_with_us or mode.is_supervised):
            return None
        outcomes = dispatched.outcomes
        moved = self._pending_restart.after(tried.job, outcomes)
        if moved is not None or self._pending_restart.must_be_queued:
            return moved
        if self._is_supervised:
            return self._recorded_retry(tried, outcomes)
        return next_retry(self._restart_policy, outcomes, failures=self._failures, node_failures=self._node_failures)

    def _recorded_retry(self, tried: AttemptResult, outcomes: tuple[Outcome, ...]) -> Retry | None:
        """The next start of an accepted job, as every other process would decide that concludes it."""
        is_known = len(outcomes) == len(tried.plan.chosen) and not any(isinstance(one.end, Lost) for one in outcomes)
        after = recorded_state_after_attempt(self._services, self._job.id, outcomes) if is_known else None
        if not isinstance(after, Requeued):
            return None
        if never_started(outcomes):
            self._in_vain += 1
            if self._in_vain == MOST_STARTS_IN_VAIN:
                return None  # back to the queue
            self._services.clock.pause(_PAUSE_IN_VAIN_S * 2**self._in_vain)
        copies = self._services.journal.copies(self._job.id)
        return Retry(reason=wait_reason(after.reason), excluded_nodes=nodes_to_exclude(self._restart_policy, copies))

    def _prepare(self, tried: AttemptResult, once_more: Retry) -> bool:
        outcomes = () if tried.dispatched is None else tried.dispatched.outcomes
        states = {state_of(outcome.end) for outcome in outcomes}
        self._failures += JobState.FAILED in states and not self._pending_restart.is_under_way
        self._node_failures += JobState.NODE_FAIL in states
        self._excluded_nodes |= once_more.excluded_nodes
        self._job = replace(
            tried.job,
            attempt=tried.job.attempt + 1,
            claim=self._pending_restart.claim or tried.job.claim + 1,
            previous_nodes=fold(tried.plan.chosen),
        )
        return self._set_pending_reason(f"attempt {self._job.attempt} after {once_more.reason}")

    def _set_pending_reason(self, reason: str) -> bool:
        """Report and record why the job waits. False if it was cancelled meanwhile."""
        self._context.listener.waiting(reason)
        return self._services.journal.set_pending_reason(self._job.id, reason)

    def _no_plan(self) -> Plan:
        nothing = Snapshot(taken_at=self._services.clock.now(), answers=())
        return Plan(wanted=self._query.request.pick, chosen=(), ranked=(), unfit=(), charged=nothing)

    def _cancel_unstarted(self, reason: str) -> None:
        if not self._job.id:
            return
        if not (self._queued and requeue(self._services, self._job.id, reason)):
            cancel_unstarted(self._services, self._job.id, reason)

    def _finish(self, tried: AttemptResult) -> RunResult:
        if not tried.job.id:
            refuse(self._services, self._query.candidates, tried.plan)
            return RunResult(job=tried.job, plan=tried.plan, dispatched=None)
        queued = self._not_started(tried) if tried.dispatched is None else self._ended(tried.dispatched, tried.plan)
        cancelled = tried.cancelled and queued is None  # not if it was only held
        return RunResult(
            job=tried.job, plan=tried.plan, dispatched=tried.dispatched, cancelled=cancelled, queued=queued
        )

    def _not_started(self, tried: AttemptResult) -> str | None:
        """Record that the job was not started. Returns the pending reason if it is queued now."""
        if (kept := self._kept_in_queue(tried)) and requeue(self._services, self._job.id, kept):
            return kept
        reason = "cancelled" if tried.cancelled else unfit_summary(tried.plan, len(self._query.candidates))
        if self._is_supervised and not tried.cancelled:
            reason = too_late(reason)  # else it would still be waiting
        may_wait = not (tried.cancelled or self._is_supervised) and (
            self._queued or self._restart_policy.queue or self._pending_restart.is_under_way
        )
        if may_wait and requeue(self._services, self._job.id, reason):
            return reason
        cancel_unstarted(self._services, self._job.id, reason, tried.plan)
        return None

    def _ended(self, dispatched: DispatchResult, plan: Plan) -> str | None:
        """Record how the attempt ended. Returns the pending reason if the job is queued now."""
        job, journal = self._job, self._services.journal
        queued = None
        if self._pending_restart.must_be_queued and requeue(
            self._services, job.id, "it could not start where it was moved to"
        ):
            return "it could not start where it was moved to"
        in_vain = never_started(dispatched.outcomes)
        if self._restart_policy.queue and in_vain and requeue(self._services, job.id, in_vain):
            return in_vain
        if len(dispatched.outcomes) == len(plan.chosen):
            # `_again` has decided about another start already, unless the job came from the queue.
            restart_policy = None if self._queued else RestartPolicy(checkpoint=self._restart_policy.checkpoint)
            if dispatched.interrupted not in (None, SIGHUP) and not self._queued:
                journal.abort_migration(job.id, attempt=job.attempt, reason="its user has ended it")
            queued = finish_job(
                self._services, job.id, job.attempt, dispatched.outcomes, plan, restart_policy=restart_policy
            )
        release(self._services, job.id)
        return queued
