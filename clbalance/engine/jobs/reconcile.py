"""Reconcile jobs that were started before: ask their nodes how they stand, and follow, signal or end them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from clbalance.engine.agent.copies import Copies, Copy, FollowMode
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import label_of
from clbalance.engine.agent.listeners import JournalingListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.jobs.conclude import (
    cancel_if_too_late,
    cancel_unstarted,
    finish_job,
    recorded_state_after_attempt,
    requeue,
)
from clbalance.engine.jobs.conclude_tasks import ReconciledTasks, finish_task_job, tasks_left
from clbalance.engine.jobs.reconciled import Reconciled, ReconcileRequest, by_login
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job_record import Cancelled, CopyRecord, Outcome
from clbalance.policy.jobs.record import (
    copies_without_outcome,
    current_copies,
    first_is_over,
    half_started,
    is_queued,
    was_abandoned,
)
from clbalance.policy.jobs.requeue import Requeued
from clbalance.policy.jobs.task_records import task_records
from clbalance.ports import RunListener, SweepListener
from clbalance.units import counted

ABANDONED = "its controller died before it was started"
CONTROLLER_DIED = "its controller died"
_START_MAY_DIFFER = timedelta(seconds=2)
"""A start is recorded when we hear of it: a moment after the first process began."""
_NOT_AWAITED_S = 2.0  # an end takes this long: a second between TERM and KILL
_TELL_EVERY_S = 0.25  # which nodes are waited for


def reconcile(
    services: Services,
    requests: Sequence[ReconcileRequest],
    within_s: float | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> tuple[Reconciled, ...]:
    """Visit all jobs at once, over one session per node. Jobs without a controller are settled and recorded.

    Jobs of several login users are visited one user after the other, each for `within_s` seconds at most.
    `unless` is called about every second; when it is true, the visit ends early.
    """
    seen: dict[int, Reconciled] = {}
    for theirs, places in by_login(services, [wanted.spec.user for wanted in requests]):
        some = [requests[place] for place in places]
        seen |= zip(places, _as_one_user(theirs, some, within_s, unless), strict=True)
    return tuple(seen[place] for place in range(len(requests)))


def _as_one_user(
    services: Services, requests: Sequence[ReconcileRequest], within_s: float | None, unless: Callable[[], bool]
) -> tuple[Reconciled, ...]:
    with services.transport.sessions() as sessions:
        multiplexer = AgentMultiplexer(Agents(sessions, services))
        visits = [_Reconciliation(services, multiplexer, _reread(services, wanted)) for wanted in requests]
        for visit in visits:
            visit.begin()
        services.listener.asked(len({node for visit in visits if visit.is_awaited for node in visit.nodes}))
        tell_at = 0.0

        def are_over(*, awaited: bool) -> bool:
            nonlocal tell_at
            left = [visit for visit in visits if not visit.is_over()]  # each is asked: that also calls nodes again
            left = [visit for visit in left if visit.is_awaited is awaited]
            if (now := services.clock.monotonic()) >= tell_at:
                tell_at = now + _TELL_EVERY_S
                _tell_awaited(services.listener, left)
            return not left or unless()

        try:
            multiplexer.listen(lambda: are_over(awaited=True), within_s)
            multiplexer.listen(lambda: are_over(awaited=False), _NOT_AWAITED_S)
        finally:
            services.listener.done()
    return tuple(visit.result() for visit in visits)


def _tell_awaited(listener: SweepListener, left: Sequence["_Reconciliation"]) -> None:
    """Tell which nodes are waited for, unless output is shown meanwhile."""
    awaited = {node for one in left if one.is_silent for node in one.awaited()}
    if awaited:
        listener.awaiting(awaited)
    else:
        listener.done()


def _reread(services: Services, wanted: ReconcileRequest) -> ReconcileRequest:
    """Re-read the record of a job whose controller is dead: it may have written after our first read."""
    if wanted.record.has_controller:
        return wanted
    record = services.journal.record(wanted.record.id) or wanted.record
    return replace(wanted, record=record, spec=replace(wanted.spec, attempt=record.attempt, claim=record.claim))


class _Reconciliation:
    """One visit of a job, with a leg for each claim: one in most jobs, one for each slot of a task job."""

    def __init__(self, services: Services, multiplexer: AgentMultiplexer, wanted: ReconcileRequest) -> None:
        self._services = services
        self._request = wanted
        self._copies = current_copies(wanted.record, services.journal.copies(wanted.record.id))
        self.is_silent = not wanted.mode.streams
        self.is_awaited = wanted.is_awaited
        asked = self._copies if wanted.ended_too else copies_without_outcome(wanted.record, self._copies)
        if wanted.nodes is not None:
            asked = tuple(copy for copy in asked if copy.intent.node in wanted.nodes)
        self.nodes = frozenset(copy.intent.node for copy in asked)
        self._is_ours = not wanted.record.has_controller and not wanted.record.state.is_over
        claims = dict.fromkeys(copy.claim for copy in asked)
        job, journal = wanted.record.id, services.journal
        self._task_log = journal.task_log(job)
        self._tasks = task_records(journal.tasks(job), self._task_log.events()) if self._is_ours else ()
        self._legs = [self._leg(multiplexer, [copy for copy in asked if copy.claim == claim]) for claim in claims]

    def begin(self) -> None:
        """Call the nodes."""
        for leg in self._legs:
            leg.begin()

    def awaited(self) -> frozenset[NodeName]:
        """The nodes that have not answered yet."""
        return frozenset().union(*(leg.follow.awaited for leg in self._legs))

    def is_over(self) -> bool:
        return not [leg for leg in self._legs if not leg.follow.is_over()]

    def result(self) -> Reconciled:
        """The job as it stands now, recorded first if it has no controller."""
        job, journal = self._request.record.id, self._services.journal
        if self._is_ours:
            self._correct_start()
            self._conclude()
        ended = {(one.claim, one.intent.rank): one.outcome for one in self._copies if one.outcome is not None}
        for leg in self._legs:
            ended |= {(leg.claim, outcome.rank): outcome for outcome in leg.copies.outcomes()}
        outcomes = tuple(ended[place] for place in sorted(ended))
        all_ended = 0 < len(self._copies) == len(outcomes)
        return Reconciled(record=journal.record(job) or self._request.record, outcomes=outcomes, all_ended=all_ended)

    def _correct_start(self) -> None:
        """A start is kept as a time of our clock, which may have been set since: the nodes say how long the job runs.

        Slots run many processes one after the other, which do not show when the job began.
        """
        began_at = [copy.began_at for leg in self._legs for copy in leg.copies if copy.began_at is not None]
        if self._request.spec.slots or not began_at or len(began_at) < len(self._copies):
            return
        clock = self._services.clock
        began = clock.now() - timedelta(seconds=clock.monotonic() - max(began_at))
        try:
            record = self._services.journal.record(self._request.record.id)
            if record is not None and record.started_at and abs(record.started_at - began) > _START_MAY_DIFFER:
                self._services.journal.correct_start(record.id, began)
        except StoreError as error:
            self._services.listener.store_failed(error.message)

    def _conclude(self) -> None:
        record = self._request.record
        if was_abandoned(record, self._copies):
            cancel_unstarted(self._services, record.id, ABANDONED)
            return
        copies = current_copies(record, self._services.journal.copies(record.id))
        ends = [copy.outcome for copy in copies if copy.outcome is not None]
        if copies and len(ends) == len(copies) and self._request.spec.slots:
            self._conclude_tasks(ends)
        elif is_queued(record) and record.cancel_requested and len(ends) == len(copies):
            self._end_queued(tuple(ends))
        elif is_queued(record) and not self._legs and self._stays_queued(tuple(ends)):
            cancel_if_too_late(self._services, record)  # else its pending reason stays, which may be newer than its end
        elif len(ends) == len(copies):
            finish_job(self._services, record.id, record.attempt, tuple(ends))

    def _conclude_tasks(self, ends: Sequence[Outcome]) -> None:
        """All slots have ended. An accepted job whose controller died goes on with the tasks that never ran."""
        services, record = self._services, self._request.record
        cancelled = bool(record.cancel_requested) or any(isinstance(one.end, Cancelled) for one in ends)
        left = 0 if cancelled or not record.queued else tasks_left(services, record.id)
        if left and is_queued(record) and not self._legs:
            cancel_if_too_late(services, record)  # else it stays queued for them
        elif not (left and requeue(services, record.id, f"{CONTROLLER_DIED}; {counted(left, 'task')} left")):
            finish_task_job(services, record.id, record.attempt, CONTROLLER_DIED, cancelled=cancelled)

    def _stays_queued(self, ends: tuple[Outcome, ...]) -> bool:
        return not ends or isinstance(
            recorded_state_after_attempt(self._services, self._request.record.id, ends), Requeued
        )

    def _end_queued(self, ends: tuple[Outcome, ...]) -> None:
        """Record a job that was cancelled while it was queued."""
        record = self._request.record
        if ends and self._legs:
            finish_job(self._services, record.id, record.attempt, ends)
        else:
            cancel_unstarted(self._services, record.id, "cancelled")

    def _leg(self, multiplexer: AgentMultiplexer, asked: Sequence[CopyRecord]) -> "Leg":
        """The leg for copies of one claim. It records outcomes only if the job has no controller."""
        wanted, spec = self._request, replace(self._request.spec, claim=asked[0].claim)
        listener, mode = wanted.listener, wanted.mode
        if spec.slots and wanted.slot_listener is not None:
            listener = wanted.slot_listener()
        reason = "" if spec.slots else half_started(wanted.record, self._copies)
        if spec.first_node:
            reason = reason or first_is_over(wanted.record, self._copies)
        if self._is_ours and (reason := wanted.record.cancel_requested or reason):
            mode = replace(mode, end=mode.end or reason)
        if self._is_ours:
            listener = JournalingListener(self._services, spec, listener, copies=len(asked))
        if self._is_ours and spec.slots:
            listener = ReconciledTasks(self._services, spec, listener, known=self._tasks, log=self._task_log)
            mode = replace(mode, finish=True)
        if spec.slots and (self._is_ours or wanted.slot_listener is not None):
            mode = replace(mode, streams=(*mode.streams, "log"))
        early_end = EarlyEnd(self._services.clock, first_node=spec.first_node)
        return Leg(
            self._services,
            multiplexer,
            label_of(spec),
            asked,
            listener,
            mode,
            limit_s=spec.time_limit_s,
            early_end=early_end,
        )


class Leg:
    """Follows the copies of one claim, at least one. `limit_s`: the time limit of the job, if it is known."""

    def __init__(
        self,
        services: Services,
        multiplexer: AgentMultiplexer,
        label: str,
        asked: Sequence[CopyRecord],
        listener: RunListener,
        mode: FollowMode,
        *,
        limit_s: float | None = None,
        early_end: EarlyEnd | None = None,
    ) -> None:
        self.claim = asked[0].claim
        self.copies = Copies(label, map(Copy.of, asked))
        self._multiplexer = multiplexer
        self._channel = multiplexer.channel(label)
        self.follow = Follow(self._channel, self.copies, services, listener, mode, limit_s=limit_s, early_end=early_end)

    def begin(self) -> None:
        """Call the nodes."""
        self._multiplexer.connect(self._channel, self.follow.on_event)
        self.follow.call_all()
