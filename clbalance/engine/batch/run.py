"""`run` of one job in a batch system: submit it, follow it, and submit it again as its restart policy says."""

from dataclasses import replace
from signal import SIGHUP, SIGPIPE

from clbalance.engine.batch.launch import launch, plan_of
from clbalance.engine.batch.visit import EngineVisit, follow
from clbalance.engine.jobs.conclude import cancel_unstarted, release
from clbalance.engine.jobs.reconciled import ReconcileRequest
from clbalance.engine.run.values import DispatchResult, RunContext, RunResult
from clbalance.errors import EngineError, Interrupted, NotRunError, StoreError
from clbalance.model import NodeName
from clbalance.model.engine import Refused
from clbalance.model.job import JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import JobState, Lost, NodeFailed, NotStarted, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import state_of
from clbalance.policy.jobs.requeue import Retry, failed_before, next_retry

_END_WITHIN_S = 2.0
"""How long the end of a job is waited for that we have cancelled, since our user waits for us."""


class EngineRun:
    """One job that this process controls. In place of `Run`, for jobs of a batch system.

    No queue of ours stands before that of the batch system: the job is submitted at once, and its further attempts are
    begun here, or not at all.
    """

    def __init__(self, context: RunContext, job: JobSpec, restart_policy: RestartPolicy) -> None:
        self._context = context
        self._services = context.services
        self._job = job
        self._restart_policy = restart_policy
        self._failures, self._node_failures = 0, 0

    def carry_out(self) -> RunResult:
        """Run the job as far as `context.mode` follows it. `NotRunError` if the batch system refuses it."""
        submitted = self._services.journal.submitted(self._job.id)
        record = self._services.journal.record(self._job.id)
        if submitted is None or record is None:
            raise StoreError(f"job {self._job.id} is no longer in the state database")
        copies = self._services.journal.copies(self._job.id)
        self._failures, self._node_failures = failed_before(record, self._restart_policy, copies)
        while True:
            visit = self._visit(submitted)
            interrupted = self._attempt(visit, submitted)
            if visit.is_left:
                release(self._services, self._job.id)
                return self._result(visit.nodes, None)
            once_more = None if interrupted is not None else self._again(visit.outcomes)
            if once_more is None:
                return self._finish(visit, interrupted)
            self._prepare(visit, once_more)

    def _visit(self, submitted: Submitted) -> EngineVisit:
        record = self._services.journal.record(self._job.id)
        assert record is not None, "we control it"
        record = replace(record, attempt=self._job.attempt, claim=self._job.claim, nodes=(), engine=submitted.engine)
        wanted = ReconcileRequest(
            record=record, spec=self._job, mode=self._context.mode, listener=self._context.listener
        )
        return EngineVisit(self._services, wanted, controlled=True)

    def _attempt(self, visit: EngineVisit, submitted: Submitted) -> int | None:
        """Submit the job, and follow it to its end. Returns the signal that has stopped us, if one has."""
        try:
            answer = launch(self._services, self._job, submitted, self._context.stdin)
            if answer is None:
                cancel_unstarted(self._services, self._job.id, "cancelled")
                raise NotRunError(f"job {self._job.id} was cancelled before it could be started")
            visit.launched()
            if isinstance(answer, Refused):
                visit.refused(answer)
                visit.result()
                raise NotRunError(
                    f"job {self._job.id} is not in {submitted.engine}: {answer.reason}",
                    hint="`sinfo` shows the partitions and nodes, `clbalance run --help` the options that Slurm gets",
                )
            if self._context.mode.leave_when_started and not visit.record.cancel_requested:
                visit.leave()
            else:
                follow(self._services, submitted.engine, [visit])
        except EngineError as error:
            visit.launched()
            if visit.is_over:
                cancel_unstarted(self._services, self._job.id, error.message)
            else:
                release(self._services, self._job.id)
                error.hint = f"the job may be there: `clbalance wait {self._job.id}` finds out, and submits nothing"
            raise
        except (Interrupted, BrokenPipeError) as stop:
            signum = stop.signum if isinstance(stop, Interrupted) else SIGPIPE
            self._stop(visit, submitted, signum)
            return signum
        return None

    def _stop(self, visit: EngineVisit, submitted: Submitted, signum: int) -> None:
        """A signal ends the job with us; SIGHUP leaves it running."""
        visit.launched()
        if signum == SIGHUP:
            return
        reason = f"stopped by signal {signum}" if signum != SIGPIPE else "its output was not read any more"
        visit.end(reason)
        try:
            self._services.journal.cancel(self._job.id, reason)
            follow(self._services, submitted.engine, [visit], _END_WITHIN_S)
        except (Interrupted, BrokenPipeError):
            return  # it is cancelled as soon as anybody asks about it

    def _again(self, outcomes: tuple[Outcome, ...]) -> Retry | None:
        if any(isinstance(one.end, Lost | NotStarted) for one in outcomes):
            return None
        return next_retry(self._restart_policy, outcomes, failures=self._failures, node_failures=self._node_failures)

    def _prepare(self, visit: EngineVisit, once_more: Retry) -> None:
        self._failures += JobState.FAILED in {state_of(one.end) for one in visit.outcomes}
        self._node_failures += any(isinstance(one.end, NodeFailed) for one in visit.outcomes)
        self._job = replace(
            self._job, attempt=self._job.attempt + 1, claim=self._job.claim + 1, previous_nodes=fold(visit.nodes)
        )
        reason = f"attempt {self._job.attempt} after {once_more.reason}"
        self._context.listener.waiting(reason)
        self._services.journal.set_pending_reason(self._job.id, reason)

    def _finish(self, visit: EngineVisit, interrupted: int | None) -> RunResult:
        visit.result()
        release(self._services, self._job.id)
        ended = () if interrupted == SIGHUP else visit.outcomes
        return self._result(visit.nodes, DispatchResult(outcomes=ended, interrupted=interrupted))

    def _result(self, nodes: tuple[NodeName, ...], dispatched: DispatchResult | None) -> RunResult:
        return RunResult(job=self._job, plan=plan_of(self._services, nodes), dispatched=dispatched)
