"""The use cases of jobs that were submitted before: look, wait for them, read, follow, end."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.conclude import recorded_state_after_attempt
from clbalance.engine.jobs.reconcile import Reconciled, ReconcileRequest, reconcile
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

_LOOK_AGAIN_S = 0.5  # at the record of a job that somebody else has in hand
_CANCEL_WITHIN_S = 10.0  # beyond the time that a node has to answer: for the grace, and for KILL


def refresh(services: Services, records: Sequence[JobRecord]) -> tuple[Reconciled, ...]:
    """How these jobs stand; their nodes are asked about those that nobody has in hand."""
    nobodys = [record for record in records if not record.has_controller and not record.state.is_over]
    looking = FollowMode(streams=(), to_the_end=False, persist=False)
    requests = _reconcile_requests(services, nobodys, lambda _: looking)
    seen = (
        {one.record.id: one for one in reconcile(services, requests, within_s=2 * services.answer_within_s)}
        if requests
        else {}
    )
    return tuple(seen.get(record.id) or _as_recorded(services, record) for record in records)


def await_ends(
    services: Services, records: Sequence[JobRecord], unless: Callable[[], bool] = lambda: False
) -> tuple[Reconciled, ...]:
    """Until every one of them is over, or its nodes do not answer any more, or `unless`: then of those that are.

    One that is queued is waited for: its time comes when `rebalance` starts it.
    """
    done: dict[int, Reconciled] = {}
    waiting = FollowMode(streams=())
    while left := [record for record in _fresh(services, records) if record.id not in done]:
        done |= {record.id: _as_recorded(services, record) for record in left if record.state.is_over}
        nobodys = [record for record in left if not record.has_controller and not record.state.is_over]
        requests = _reconcile_requests(services, nobodys, lambda _: waiting)
        attempts = {record.id: record.attempt for record in nobodys}
        ended = {record.id: _as_recorded(services, record) for record in nobodys}  # also what cannot be visited
        ended |= {one.record.id: one for one in reconcile(services, requests, unless=unless)} if requests else {}
        done |= {job: one for job, one in ended.items() if not _is_to_go_on(services, one, attempts[job])}
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
) -> Reconciled:
    """What a job has printed so far, or prints to its end."""
    mode = FollowMode(streams=streams, to_the_end=to_the_end, void=False, persist=to_the_end)
    spec = spec_of(services, record)
    wanted = ReconcileRequest(record=record, spec=spec, mode=mode, listener=listener, ended_too=True, nodes=nodes)
    within_s = None if to_the_end else 4 * services.answer_within_s
    return reconcile(services, [wanted], within_s)[0]


def cancel(services: Services, records: Sequence[JobRecord], reason: str) -> tuple[Reconciled, ...]:
    """End these jobs, wherever they are on their way; who has one in hand starts it no more."""
    for record in records:
        services.journal.cancel(record.id, reason)
    return _order(services, records, lambda record: FollowMode(streams=(), end=reason, void=not record.has_controller))


def end_copies(services: Services, record: JobRecord, nodes: frozenset[NodeName], reason: str) -> tuple[NodeName, ...]:
    """End the copies on these nodes, and no others; on which of them that was not confirmed."""
    mode = FollowMode(streams=(), end=reason)
    wanted = ReconcileRequest(
        record=record, spec=spec_of(services, record), mode=mode, listener=NullListener(), nodes=nodes
    )
    reconcile(services, [wanted], within_s=2 * services.answer_within_s + _CANCEL_WITHIN_S)
    left = copies_without_outcome(record, services.journal.copies(record.id))
    return tuple(copy.intent.node for copy in left if copy.intent.node in nodes)


def signal(services: Services, records: Sequence[JobRecord], number: int) -> tuple[Reconciled, ...]:
    """Send a signal to every process of these jobs."""
    return _order(services, records, lambda _: FollowMode(streams=(), signal=number, to_the_end=False, void=False))


def spec_of(services: Services, record: JobRecord) -> JobSpec:
    """What was last tried to be started, a script without its content. `StoreError` where that cannot be read."""
    submitted = services.journal.submitted(record.id)
    if submitted is None:
        raise StoreError(f"job {record.id} is not remembered any more")
    return replace(submitted.job, id=record.id, attempt=record.attempt, claim=record.claim)


def user_of(services: Services, job: int) -> str | None:
    """Who logs in for it; None where that is not remembered."""
    try:
        submitted = services.journal.submitted(job)
    except StoreError:  # of another version: who needs more of it is told
        return None
    return None if submitted is None else submitted.job.user


def startable(services: Services, record: JobRecord) -> JobSpec:
    """The same with all that its nodes are sent."""
    spec = spec_of(services, record)
    if not isinstance(spec.payload, Script):
        return spec
    content = services.journal.script(record.id)
    if content is None:
        raise StoreError(f"the script of job {record.id} is not remembered any more")
    return replace(spec, payload=replace(spec.payload, content=content))


def next_attempt(services: Services, record: JobRecord) -> JobSpec:
    """The job as it is started again; one that was queued before its first start has had no attempt yet."""
    job, where = startable(services, record), fold(record.nodes)
    is_first = record.queued and not current_copies(record, services.journal.copies(record.id))
    attempt = record.attempt if is_first else record.attempt + 1
    return replace(job, attempt=attempt, claim=record.claim + 1, previous_nodes=where)


def _order(
    services: Services, records: Sequence[JobRecord], mode_in: Callable[[JobRecord], FollowMode]
) -> tuple[Reconciled, ...]:
    requests = _reconcile_requests(services, records, mode_in)
    return reconcile(services, requests, within_s=2 * services.answer_within_s + _CANCEL_WITHIN_S)


def _reconcile_requests(
    services: Services, records: Sequence[JobRecord], mode_in: Callable[[JobRecord], FollowMode]
) -> list[ReconcileRequest]:
    """One that another version has written, or that is damaged, is left out, and hides none of the others."""
    requests = []
    for record in records:
        try:
            spec = spec_of(services, record)
        except StoreError as error:
            services.listener.store_failed(f"job {record.id}: {error.message}")
        else:
            requests.append(ReconcileRequest(record=record, spec=spec, mode=mode_in(record), listener=NullListener()))
    return requests


def _is_to_go_on(services: Services, reconciled: Reconciled, attempt: int) -> bool:
    """In the queue, elsewhere by now, or in the hands of who is moving it there or writes down its end.

    Not where a node does not answer: the rest of a start that was cut short may be there.
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


# Follow a job to its very end: where it is moved, or started again, what it prints next is read as well.

_FOLLOW_AGAIN_S = 0.5  # at the record of a job that somebody else moves or starts


def follow_on(
    services: Services,
    record: JobRecord,
    listener: RunListener,
    on_change: Callable[[JobRecord], None],
    *,
    streams: tuple[str, ...],
    nodes: frozenset[NodeName] | None = None,
) -> Reconciled:
    """How it has ended, of its last attempt; `told` when it waits meanwhile, and before a further attempt is read.

    It ends early where a node does not answer any more. One that is queued is waited for, as `wait` does.
    """
    while True:
        reconciled = read(services, record, listener, streams=streams, to_the_end=True, nodes=nodes)
        if not _goes_on(services, record, reconciled):
            return reconciled
        found = _started_again_or_over(services, record, on_change)
        if found.record.attempt == record.attempt or not found.record.nodes:
            return found
        record = found.record
        on_change(record)


def _goes_on(services: Services, record: JobRecord, reconciled: Reconciled) -> bool:
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


# Wait for the jobs that another one comes after, or see whether they are over.


def dependency_failure(services: Services, job: int, restart_policy: RestartPolicy) -> str:
    """Why `job` can never be started, once those before it are over; empty where nothing hinders it."""
    before = {number: services.journal.record(number) for number in restart_policy.after}
    known = [record for record in before.values() if record is not None]
    if len(known) == len(before):
        ends = await_ends(services, known, unless=lambda: services.journal.is_cancelled(job))
        if services.journal.is_cancelled(job):
            return "cancelled"
        before |= {one.record.id: one.record for one in ends}
    found = dependency(before)
    # What is not over now is on nodes that do not answer any more.
    return f"{found.reason}, not heard of any more" if found.state is DependencyState.WAITING else found.reason


def dependency_state(services: Services, after: tuple[int, ...]) -> Dependency:
    """Of a job that comes after these; their nodes are asked about those that nobody has in hand."""
    known = {number: services.journal.record(number) for number in after}
    seen = refresh(services, [record for record in known.values() if record is not None])
    before: dict[int, JobRecord | None] = {**known, **{one.record.id: one.record for one in seen}}
    return dependency(before)
