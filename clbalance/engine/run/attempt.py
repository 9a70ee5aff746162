"""One attempt of a job: sweep, place, reserve, record the launch, start, follow."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.engine.candidates import CandidateSweep
from clbalance.engine.jobs.cancel import end_cancelled
from clbalance.engine.jobs.wait import as_updated
from clbalance.engine.place import place_on
from clbalance.engine.run.values import AttemptResult, RunContext
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import TransportError
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Cancelled, NotStarted
from clbalance.policy.jobs.record import is_migratable
from clbalance.policy.placement.charge import allocation_limits, with_allocations
from clbalance.policy.placement.quorum import may_still_answer

if TYPE_CHECKING:  # imported once nodes have answered: docs/design/startup.md
    from clbalance.engine.agent.early import EarlyAgents
    from clbalance.engine.open_sweep import OpenSweep
    from clbalance.engine.run.dispatch import Dispatch
    from clbalance.engine.run.migration import Migration

_KEEP_OPEN = 64  # sessions kept open to candidates until the best are chosen
_MOST_LOOKS = 20  # at nodes that others filled first; after that any node that admits is good enough
_PAUSE_S = 0.2  # at most, times the number of refusals: so that multi-node jobs do not collide again and again
_PAUSE_AT_MOST_S = 1.0


def attempt(
    context: RunContext, job: JobSpec, excluded_nodes: Mapping[NodeName, str], *, has_waited: bool = False
) -> AttemptResult:
    """Sweep, and start `job`. If a node refuses, or goes silent before it has started it, the next best is tried.

    `excluded_nodes`: nodes to avoid while others fit, with the reasons. `has_waited`: no node has fitted so far.
    """
    services = context.services
    # At most half of the sessions that can be open, or other nodes would wait for ever for a free one.
    keep_open = min(_KEEP_OPEN, services.session_limit // 2)
    has_ended_others = False
    while True:
        with services.transport.sessions() as sessions:
            query = _elsewhere(context.query, excluded_nodes)
            candidates = CandidateSweep(services, sessions, query, keep_open=keep_open)
            early = _send_early(services, candidates, has_waited=has_waited)
            snapshot = candidates.look(query.request)
            fits = partial(_fits, context, snapshot, excluded_nodes)
            if has_ended_others or not end_cancelled(services, snapshot, fits):
                return _start_on_best(context, candidates, early, snapshot, job, excluded_nodes)
        has_ended_others = True


def _send_early(services: Services, candidates: CandidateSweep, *, has_waited: bool) -> "EarlyAgents":
    """Send the agent to the nodes that will probably be chosen, and load what starts a job, while the nodes work.

    `has_waited`: none has fitted so far.
    """
    from clbalance.engine.agent.early import EarlyAgents  # deferred imports: docs/design/startup.md

    early = EarlyAgents(services, candidates.asked.sessions)
    candidates.asked.overhear = early.hear
    if not has_waited:
        candidates.asked.sent_more = probably_chosen = candidates.probably_chosen
        early.send(probably_chosen)
    import clbalance.engine.run.dispatch  # noqa: F401 - python3 starts there meanwhile

    services.agent_source()  # packed, for the nodes that are chosen
    return early


def _fits(context: RunContext, snapshot: Snapshot, excluded_nodes: Mapping[NodeName, str]) -> bool:
    return _plan(context, snapshot, {}, excluded_nodes).fits


def _start_on_best(
    context: RunContext,
    candidates: CandidateSweep,
    early: "EarlyAgents",
    snapshot: Snapshot,
    job: JobSpec,
    excluded_nodes: Mapping[NodeName, str],
) -> AttemptResult:
    services = context.services
    refusals: dict[NodeName, str] = {}
    crowded: dict[NodeName, float]
    samples, was_refused = _MOST_LOOKS, False
    while True:
        plan = _plan(context, snapshot, refusals, excluded_nodes)
        if (was_refused or not plan.fits) and any(map(may_still_answer, snapshot.answers)):
            elsewhere = _elsewhere(context.query, {**excluded_nodes, **refusals})
            snapshot = candidates.look(elsewhere.request, snapshot)
            plan = _plan(context, snapshot, refusals, excluded_nodes)
        if not plan.fits:
            return AttemptResult(job=job, plan=plan, dispatched=None)
        _make_room(candidates.asked, plan, services.session_limit)
        limits = allocation_limits(plan, snapshot, context.query.request, context.query.policy) if samples else {}
        tried = _dispatch(context, candidates.asked, early, snapshot, job, plan, limits)
        if isinstance(tried, AttemptResult):
            refused, crowded = _not_started(tried), {}
            if not (refused and _plan(context, snapshot, refusals | refused, excluded_nodes).fits):
                return tried
            job = replace(tried.job, attempt=tried.job.attempt + 1)  # each recorded launch is an attempt
        else:
            refused, crowded = tried
        snapshot, samples = with_allocations(snapshot, crowded), samples - 1 if crowded else samples
        refusals |= {node: reason for node, reason in refused.items() if node not in crowded}
        job, was_refused = replace(job, claim=job.claim + 1), True  # a claim is never used twice
        if len(plan.chosen) > 1:
            services.clock.pause(context.query.rng.random() * min(_PAUSE_S * len(refusals), _PAUSE_AT_MOST_S))


def _dispatch(
    context: RunContext,
    asked: "OpenSweep",
    early: "EarlyAgents",
    snapshot: Snapshot,
    job: JobSpec,
    plan: Plan,
    limits: dict[NodeName, float],
) -> AttemptResult | tuple[dict[NodeName, str], dict[NodeName, float]]:
    """The result; or the refusals by node, and the CPUs allocated by now on nodes that others filled first."""
    from clbalance.engine.run.dispatch import Dispatch  # deferred import: docs/design/startup.md

    services = context.services
    asked.sent_more = {*asked.sent_more, *plan.chosen}
    dispatch = Dispatch(services, asked.sessions, job, plan, context.query.request, asked.take, early)
    refused, crowded = dispatch.reserve(snapshot, limits)
    if refused:
        return refused, crowded
    _give_back_all_but(asked, plan)
    services.fail_point("reserved")
    if not job.id and context.submit is not None:
        job = replace(job, id=context.submit())
        dispatch.job = job
    return start_reserved(context, job, plan, dispatch)


def _not_started(tried: AttemptResult) -> dict[NodeName, str]:
    """The nodes that could not start it for a reason of their own, if that alone is why no copy was started."""
    if tried.dispatched is None:
        return {}
    outcomes, silent = tried.dispatched.outcomes, tried.dispatched.may_start_elsewhere
    failed = {one.node: one.end.reason for one in outcomes if isinstance(one.end, NotStarted)}
    none_ran = all(isinstance(one.end, NotStarted | Cancelled) and not one.seconds for one in outcomes)
    return failed if none_ran and silent.issuperset(failed) else {}


def start_reserved(context: RunContext, job: JobSpec, plan: Plan, dispatch: "Dispatch") -> AttemptResult:
    """Record the launch, start the job on the nodes that admitted it, and follow it as `context.mode` says."""
    from clbalance.engine.agent.listeners import JournalingListener

    services = context.services
    intents = dispatch.intents()
    if not services.journal.record_launch(job.id, attempt=job.attempt, claim=job.claim, intents=intents, plan=plan):
        return AttemptResult(job=job, plan=plan, dispatched=None, cancelled=True)
    job = dispatch.job = as_updated(services, job)  # from here on no update is accepted
    services.fail_point("intended")
    context.listener.placed(job, plan)
    services.tell_forced(job, plan, plan.chosen)
    recorded = JournalingListener(services, job, context.listener, copies=len(intents))
    move = _migrate(context, job)
    try:
        dispatched = dispatch.run(context.stdin, recorded, context.mode, move)
    except BaseException:
        if move is not None:
            move.release_target()
        raise
    return AttemptResult(
        job=job, plan=plan, dispatched=dispatched, reservation=None if move is None else move.reservation
    )


def _migrate(context: RunContext, job: JobSpec) -> "Migration | None":
    """The handler of migration requests. None if the job is not migratable, or we leave once it has started."""
    if context.mode.leave_when_started or not is_migratable(job, context.query.request, context.restart_policy):
        return None
    from clbalance.engine.run.migration import Migration  # most jobs are never migrated

    return Migration(context, job)


def _plan(
    context: RunContext, snapshot: Snapshot, refusals: dict[NodeName, str], excluded_nodes: Mapping[NodeName, str]
) -> Plan:
    services, query = context.services, context.query
    plan = place_on(services, snapshot, _elsewhere(query, excluded_nodes), refusals)
    if not excluded_nodes:
        return plan
    if not plan.fits:
        return place_on(services, snapshot, query, refusals)
    unfit = (replace(one, detail=excluded_nodes[one.node]) if one.node in excluded_nodes else one for one in plan.unfit)
    return replace(plan, unfit=tuple(unfit))


def _elsewhere(query: PlacementQuery, excluded_nodes: Mapping[NodeName, str]) -> PlacementQuery:
    return replace(query, request=replace(query.request, excluded=query.request.excluded.union(excluded_nodes)))


def _make_room(asked: "OpenSweep", plan: Plan, limit: int) -> None:
    """Give back unneeded sessions if the plan needs their places: otherwise its last copies would wait for ever."""
    copies = len(plan.chosen)
    if copies > limit:
        raise TransportError(
            f"{copies} copies need {copies} sessions at once, and the limit on open files allows {limit}",
            hint="raise it with `ulimit -n`, or have an administrator raise `ulimit -Hn`",
        )
    if len(asked.sessions.open_nodes().union(plan.chosen)) > limit:
        _give_back_all_but(asked, plan)


def _give_back_all_but(asked: "OpenSweep", plan: Plan) -> None:
    for node in asked.sessions.open_nodes().difference(plan.chosen):
        asked.give_back(node)
