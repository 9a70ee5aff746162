"""The report of `rebalance`: the decision, and each action when it is done."""

import pwd
from dataclasses import replace
from typing import assert_never

from clbalance.cli.audit import AuditTrail, migration_result
from clbalance.cli.console import Console
from clbalance.cli.options import RebalanceOptions
from clbalance.engine.migrate.requested import Migrated, MigrationResult
from clbalance.engine.rebalance import RebalanceDecision
from clbalance.engine.rebalance_facts import ReconciledJob
from clbalance.engine.run.start_queued import Controlled, JobStarted, NotAcquired, QueuedStart, StillQueued
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model.job_record import JobRecord, JobState, Lost
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import reason_of, state_of, worst_outcome
from clbalance.policy.jobs.requeue import wait_reason
from clbalance.policy.rebalance.plan import missing_confirmations
from clbalance.policy.rebalance.values import PlannedMigration
from clbalance.render.reports.balance.rebalance import Action, PoolReport, RebalanceReport, action_of


def planned_actions(decision: RebalanceDecision, *, confirm: int) -> tuple[Action, ...]:
    """The planned starts and migrations, before anything is done; `confirm` as in `missing_confirmations`."""
    known = decision.inputs.queued
    starts = [
        Action(
            what="start",
            job=job,
            name=known[job].record.name,
            dst=fold(nodes),
            reason=start_reason(known[job].record),
        )
        for job, nodes in decision.chosen.starts
    ]
    moves = [
        replace(action_of(move), missing=missing_confirmations(move.src, one.times_over, confirm))
        for one in decision.plans
        for move in one.plan.migrations
    ]
    return (*starts, *moves)


def report_of(
    decision: RebalanceDecision, *, actions: tuple[Action, ...], confirm: int, options: RebalanceOptions
) -> RebalanceReport:
    """The report; `confirm`: a node must be overloaded in that many runs in a row before jobs are moved off."""
    known = decision.inputs.queued
    return RebalanceReport(
        pools=tuple(
            PoolReport(
                name=one.pool.name,
                plan=one.plan,
                confirm=confirm,
                times_over=tuple((node, times) for node, times in one.times_over.items() if times),
            )
            for one in decision.plans
        ),
        actions=actions,
        waiting=tuple((job, known[job].record.name, reason) for job, reason in decision.chosen.waits.items()),
        applied=options.apply,
        advice=None
        if not options.advise
        else tuple((_user(advice.uid), advice) for one in decision.plans for advice in one.plan.advice),
    )


def start_reason(record: JobRecord) -> str:
    """Why a queued job is started: the reason for which it waited until now."""
    return f"waited: {wait_reason(record.reason)}"


def reconciled_action(one: ReconciledJob) -> Action | None:
    """The action to report for a job without a controller that was reconciled; None if it needs no mention."""
    if one.now.queued and one.now.state is JobState.PENDING:
        return Action(
            what="settled", job=one.now.id, name=one.now.name, result="waits", reason=wait_reason(one.now.reason)
        )
    if one.now.state is JobState.NODE_FAIL:
        return Action(what="settled", job=one.now.id, name=one.now.name, result="NODE_FAIL", reason=one.now.reason)
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


# The actions of one run of `rebalance`.


class ActionReporter:
    """Shows, counts and logs each action when it is done (a `RebalanceListener`).

    `scores`: of the nodes before the run, and after it as planned.
    """

    def __init__(self, services: Services, console: Console, scores: tuple[float, float]) -> None:
        self._services = services
        self._console = console
        self._log = AuditTrail(services, console)
        self._scores = scores
        self.all: list[Action] = []

    def reconciled(self, one: ReconciledJob) -> None:
        """A job without a controller was reconciled."""
        if (action := reconciled_action(one)) is not None:
            self._note(action)

    def started(self, record: JobRecord, came: QueuedStart) -> None:
        """A queued job was started, or not; nothing is reported if another process has acquired it."""
        begun = Action(what="start", job=record.id, name=record.name, reason=start_reason(record))
        match came:
            case JobStarted(result=run_result):
                result = _start_text(run_result)
                counted = "rebalance_started_total" if result == "started" else ""
                self._note(replace(begun, dst=fold(run_result.plan.chosen), result=result), counted_as=counted)
            case Controlled():
                self._note(replace(begun, result="started"), counted_as="rebalance_started_total")
            case StillQueued(reason=reason, failed=True):
                self._note(replace(begun, result=f"not started: {reason}"))
            case StillQueued() | NotAcquired():
                pass  # still queued for the same reason, or acquired by another process
            case _:
                assert_never(came)

    def gave_up(self, record: JobRecord, reason: str) -> None:
        """A queued job that can never be started was cancelled."""
        self._note(Action(what="settled", job=record.id, name=record.name, result="CANCELLED", reason=reason))

    def migrated(self, move: PlannedMigration, end: MigrationResult) -> None:
        """A migration has ended, with success or not."""
        counted = "rebalance_moves_total" if isinstance(end, Migrated) else "rebalance_moves_failed_total"
        self._note(action_of(move, migration_result(end, move.dst)), counted_as=counted)

    def _note(self, action: Action, *, counted_as: str = "") -> None:
        """Add an action to the report, the audit log and the counters, and show it."""
        self.all.append(action)
        self._log.add(action, self._scores)
        if counted_as:
            self._count(add={counted_as: 1.0})
        self._console.show(action)

    def done(self) -> None:
        """Count the run, for `metrics`."""
        before, after = self._scores
        now = self._services.clock.now().timestamp()
        put = {
            "rebalance_score_before": before,
            "rebalance_score_after": after,
            "rebalance_last_run_seconds": now,
        }
        self._count(add={"rebalance_runs_total": 1.0}, put=put)

    def _count(self, *, add: dict[str, float], put: dict[str, float] | None = None) -> None:
        try:
            self._services.store.update_counters(add=add, put=put)
        except StoreError as error:
            self._services.listener.store_failed(error.message)


def _start_text(result: RunResult) -> str:
    """`started`, or the worst end of its copies: a copy that ended already was not executed, or is lost."""
    worst = None if result.dispatched is None else worst_outcome(result.dispatched.outcomes)
    if worst is None:
        return "started"
    state = "unknown" if isinstance(worst.end, Lost) else str(state_of(worst.end))
    reason = reason_of(worst.end)
    return f"{state}: {reason}" if reason else state
