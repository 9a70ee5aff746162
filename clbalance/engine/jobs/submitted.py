"""Use cases of submitted jobs: refresh, wait, read output, follow, cancel, signal."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.conclude import recorded_state_after_attempt
from clbalance.engine.jobs.queued_starts import QueuedStarts
from clbalance.engine.jobs.reconciled import Reconciled, ReconcileRequest
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job import JobSpec, RestartPolicy, Script
from clbalance.model.job_record import JobRecord, JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import (
    Dependency,
    DependencyState,
    copies_without_outcome,
    current_copies,
    dependency,
    is_queued,
)
from clbalance.policy.jobs.requeue import Requeued
from clbalance.ports import RunListener

_LOOK_AGAIN_S = 0.5  # at the record of a job that has a controller
_CANCEL_WITHIN_S = 10.0  # on top of the time for a node's answer: for the grace period, and for KILL
_LOOKING = FollowMode(streams=(), to_the_end=False, persist=False)


def refresh(services: Services, records: Sequence[JobRecord]) -> tuple[Reconciled, ...]:
    """The current state of these jobs. Nodes are asked about jobs that have no controller."""
    uncontrolled = [record for record in records if not record.has_controller and not record.state.is_over]
    visited = _visit(services, uncontrolled, lambda _: _LOOKING, within_s=2 * services.answer_within_s)
    seen = {one.record.id: one for one in visited}
    return tuple(seen.get(record.id) or _as_recorded(services, record) for record in records)


def await_ends(
    services: Services,
    records: Sequence[JobRecord],
    unless: Callable[[], bool] = lambda: False,
    *,
    call_until_reached: bool = False,
) -> tuple[Reconciled, ...]:
    """Wait until each job is over or its nodes do not answer any more. If `unless` gets true, return those that are.

    A queued job is started when it fits. For `call_until_reached` see `FollowMode`.
    """
    done: dict[int, Reconciled] = {}
    waiting = FollowMode(streams=(), call_until_reached=call_until_reached)
    starts = QueuedStarts(services)
    while left := [record for record in _fresh(services, records) if record.id not in done]:
        done |= {record.id: _as_recorded(services, record) for record in left if record.state.is_over}
        if starts.start(left):
            left = _fresh(services, left)
        uncontrolled = [record for record in left if not record.has_controller and not record.state.is_over]
        attempts = {record.id: record.attempt for record in uncontrolled}
        ended = {
            record.id: _as_recorded(services, record) for record in uncontrolled
        }  # also jobs that cannot be visited
        visited = _visit(services, uncontrolled, lambda _: waiting, unless=lambda: unless() or starts.are_due)
        ended |= {one.record.id: one for one in visited}
        if starts.are_due and not unless():  # the visit was cut short: only ends count
            ended = {job: one for job, one in ended.items() if one.record.state.is_over}
        done |= {job: one for job, one in ended.items() if not _is_still_awaited(services, one, attempts[job])}
        if unless():
            break
        if len(done) < len(records) and not ended.keys() & done.keys():
            services.clock.pause(_LOOK_AGAIN_S)
    return tuple(done[record.id] for record in records if record.id in done)


def read(
    services: Services,
    record: JobRecord,
    listener: RunListener,
    *,
    streams: tuple[str, ...],
    to_the_end: bool,
    nodes: frozenset[NodeName] | None = None,
    slot_listener: Callable[[], RunListener] | None = None,
) -> Reconciled:
    """Read what a job has printed so far; with `to_the_end`, also all that follows.

    That may take any time, where the output is shown by a pager. Each step of a node has its own deadline.
    """
    mode = FollowMode(streams=streams, to_the_end=to_the_end, void=False, persist=to_the_end)
    spec = spec_of(services, record)
    wanted = ReconcileRequest(
        record=record,
        spec=spec,
        mode=mode,
        listener=listener,
        slot_listener=slot_listener,
        ended_too=True,
        nodes=nodes,
    )
    return _reconcile(services, [wanted])[0]


def cancel(services: Services, records: Sequence[JobRecord], reason: str) -> tuple[Reconciled, ...]:
    """Cancel these jobs, whatever their state. A controller does not start a cancelled job any more.

    No request is kept for a job that logs in as another user than was typed: it would be carried out as that user.
    """
    for record in records:
        if services.typed_user is None or user_of(services, record.id) in (None, services.typed_user):
            services.journal.cancel(record.id, reason)
    return _order(services, records, lambda record: FollowMode(streams=(), end=reason, void=not record.has_controller))


def end_copies(services: Services, record: JobRecord, nodes: frozenset[NodeName], reason: str) -> tuple[NodeName, ...]:
    """End the copies on these nodes only. Return the nodes that did not confirm the end."""
    mode = FollowMode(streams=(), end=reason)
    wanted = ReconcileRequest(
        record=record, spec=spec_of(services, record), mode=mode, listener=NullListener(), nodes=nodes
    )
    _reconcile(services, [wanted], 2 * services.answer_within_s + _CANCEL_WITHIN_S)
    left = copies_without_outcome(record, services.journal.copies(record.id))
    return tuple(copy.intent.node for copy in left if copy.intent.node in nodes)


def signal(services: Services, records: Sequence[JobRecord], number: int) -> tuple[Reconciled, ...]:
    """Send a signal to every process of these jobs."""
    return _order(services, records, lambda _: FollowMode(streams=(), signal=number, to_the_end=False, void=False))


def spec_of(services: Services, record: JobRecord) -> JobSpec:
    """The spec of the last attempt; a script comes without its content. `StoreError` if it cannot be read."""
    submitted = services.journal.submitted(record.id)
    if submitted is None:
        raise StoreError(f"job {record.id} is no longer in the state database")
    return replace(submitted.job, id=record.id, attempt=record.attempt, claim=record.claim)


def user_of(services: Services, job: int) -> str | None:
    """The login user of a job; None if it is not remembered."""
    try:
        submitted = services.journal.submitted(job)
    except StoreError:  # of another version: a caller that needs more gets this error there
        return None
    return None if submitted is None else submitted.job.user


def startable(services: Services, record: JobRecord) -> JobSpec:
    """As `spec_of`, with the content of the script. `StoreError` if that is not remembered."""
    spec = spec_of(services, record)
    if not isinstance(spec.payload, Script):
        return spec
    content = services.journal.script(record.id)
    if content is None:
        raise StoreError(f"the script of job {record.id} is no longer in the state database")
    return replace(spec, payload=replace(spec.payload, content=content))


def next_attempt(services: Services, record: JobRecord) -> JobSpec:
    """The spec of the next attempt. A job that was queued before its first start has had no attempt yet."""
    job, where = startable(services, record), fold(record.nodes)
    is_first = record.queued and not current_copies(record, services.journal.copies(record.id))
    attempt = record.attempt if is_first else record.attempt + 1
    return replace(job, attempt=attempt, claim=record.claim + 1, previous_nodes=where)


def _order(
    services: Services, records: Sequence[JobRecord], mode_in: Callable[[JobRecord], FollowMode]
) -> tuple[Reconciled, ...]:
    return _visit(services, records, mode_in, within_s=2 * services.answer_within_s + _CANCEL_WITHIN_S)


def _visit(
    services: Services,
    records: Sequence[JobRecord],
    mode_in: Callable[[JobRecord], FollowMode],
    within_s: float | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> tuple[Reconciled, ...]:
    """Reconcile these jobs and, on the nodes that are visited for them, end other jobs whose cancel waits for that."""
    requests = _reconcile_requests(services, records, mode_in)
    if not requests:
        return ()
    nodes = frozenset(node for record in records for node in record.nodes)
    beside = _requests_to_end(services, nodes, {record.id for record in records})
    requests += [replace(one, is_awaited=False) for one in beside]
    return _reconcile(services, requests, within_s, unless)[: len(requests) - len(beside)]


def _reconcile(
    services: Services,
    requests: Sequence[ReconcileRequest],
    within_s: float | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> tuple[Reconciled, ...]:
    """Ask the nodes about jobs of ours, and batch systems about theirs."""
    theirs = [place for place, one in enumerate(requests) if one.record.engine]
    ours = [place for place, one in enumerate(requests) if not one.record.engine]
    seen: dict[int, Reconciled] = {}
    if theirs:
        from clbalance.engine.batch.visit import visit  # few jobs have a batch system

        seen |= zip(theirs, visit(services, [requests[one] for one in theirs], within_s, unless), strict=True)
    if ours:
        from clbalance.engine.jobs.reconcile import reconcile  # deferred import: docs/design/startup.md

        seen |= zip(ours, reconcile(services, [requests[one] for one in ours], within_s, unless), strict=True)
    return tuple(seen[place] for place in range(len(requests)))


def end_on(services: Services, nodes: frozenset[NodeName], within_s: float) -> bool:
    """End the jobs whose cancel waits for one of these nodes. Return whether one of the jobs is over now."""
    requests = _requests_to_end(services, nodes)
    seen = _reconcile(services, requests, within_s) if requests else ()
    return any(one.record.state.is_over for one in seen)


def _requests_to_end(
    services: Services, nodes: frozenset[NodeName], besides: Collection[int] = ()
) -> list[ReconcileRequest]:
    """For the jobs whose cancel waits for one of these nodes. Reconciling ends such a job, in any mode."""
    asked = [one for one in services.journal.cancel_requests() if one.id not in besides]
    waiting = [one for one in asked if not nodes.isdisjoint(one.nodes)]
    return [replace(one, nodes=nodes) for one in _reconcile_requests(services, waiting, lambda _: _LOOKING)]


def _reconcile_requests(
    services: Services, records: Sequence[JobRecord], mode_in: Callable[[JobRecord], FollowMode]
) -> list[ReconcileRequest]:
    """A record that is damaged or of another version is left out with a warning, and does not hide the others."""
    requests = []
    for record in records:
        try:
            spec = spec_of(services, record)
        except StoreError as error:
            services.listener.store_failed(f"job {record.id}: {error.message}")
        else:
            requests.append(ReconcileRequest(record=record, spec=spec, mode=mode_in(record), listener=NullListener()))
    return requests


def _is_still_awaited(services: Services, reconciled: Reconciled, attempt: int) -> bool:
    """Whether the wait continues: the job is queued, has a newer attempt or a controller, or its end is recorded now.

    Not if a node does not answer: copies of an interrupted start may be there.
    """
    if reconciled.record.state.is_over or any(isinstance(outcome.end, Lost) for outcome in reconciled.outcomes):
        return False
    now = services.journal.record(reconciled.record.id) or reconciled.record
    return is_queued(now) or now.attempt > attempt or now.has_controller or now.state.is_over


def _fresh(services: Services, records: Sequence[JobRecord]) -> list[JobRecord]:
    return [services.journal.record(record.id) or record for record in records]


def _as_recorded(services: Services, record: JobRecord) -> Reconciled:
    copies = current_copies(record, services.journal.copies(record.id))
    outcomes: list[Outcome] = [copy.outcome for copy in copies if copy.outcome is not None]
    return Reconciled(record=record, outcomes=tuple(outcomes), all_ended=0 < len(copies) == len(outcomes))


# Follow a job to its end, over all attempts: when it is migrated or started again, its further output is read too.

_FOLLOW_AGAIN_S = 0.5  # at the record of a job that another process migrates or starts


def follow_on(
    services: Services,
    record: JobRecord,
    listener: RunListener,
    on_change: Callable[[JobRecord], None],
    *,
    streams: tuple[str, ...],
    nodes: frozenset[NodeName] | None = None,
    slot_listener: Callable[[], RunListener] | None = None,
) -> Reconciled:
    """Follow a job; return the end of its last attempt.

    `on_change` is called when the job is queued meanwhile, and before a further attempt is read. A queued job is waited
    for, as by `wait`. Following ends early if a node does not answer any more.
    """
    while True:
        reconciled = read(
            services, record, listener, streams=streams, to_the_end=True, nodes=nodes, slot_listener=slot_listener
        )
        if not _continues(services, record, reconciled):
            return reconciled
        found = _started_again_or_over(services, record, on_change)
        if found.record.attempt == record.attempt or not found.record.nodes:
            return found
        record = found.record
        on_change(record)


def _continues(services: Services, record: JobRecord, reconciled: Reconciled) -> bool:
    if len(reconciled.outcomes) < len(record.nodes) or any(isinstance(one.end, Lost) for one in reconciled.outcomes):
        return False
    now = services.journal.record(record.id) or record
    if now.attempt > record.attempt:
        return True
    return not now.state.is_over and isinstance(
        recorded_state_after_attempt(services, record.id, reconciled.outcomes), Requeued
    )


def _started_again_or_over(services: Services, record: JobRecord, on_change: Callable[[JobRecord], None]) -> Reconciled:
    waits = ""
    while True:
        (found,) = refresh(services, [services.journal.record(record.id) or record])
        now = found.record
        if is_queued(now):
            if now.reason != waits:
                waits = now.reason
                on_change(now)
        elif now.state.is_over or (now.attempt > record.attempt and now.state is JobState.RUNNING):
            return found
        services.clock.pause(_FOLLOW_AGAIN_S)


# Dependencies: wait for the jobs that a job comes after, or check whether they are over.


def await_dependencies(services: Services, job: int, restart_policy: RestartPolicy) -> Dependency:
    """Wait for the dependencies of `job`, as long as their nodes answer."""
    before = {number: services.journal.record(number) for number in restart_policy.after}
    known = [record for record in before.values() if record is not None]
    if len(known) == len(before):
        ends = await_ends(services, known, lambda: _is_cancelled(services, job), call_until_reached=True)
        if _is_cancelled(services, job):
            return Dependency(state=DependencyState.NEVER, reason="cancelled")
        before |= {one.record.id: one.record for one in ends}
    return dependency(before)


def _is_cancelled(services: Services, job: int) -> bool:
    record = services.journal.record(job)
    return record is not None and bool(record.cancel_requested)


def dependency_state(services: Services, after: tuple[int, ...]) -> Dependency:
    """The dependency on the jobs `after`. Nodes are asked about those that have no controller."""
    known = {number: services.journal.record(number) for number in after}
    seen = refresh(services, [record for record in known.values() if record is not None])
    before: dict[int, JobRecord | None] = {**known, **{one.record.id: one.record for one in seen}}
    return dependency(before)
