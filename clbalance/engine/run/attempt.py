"""One attempt of a job: sweep, place, reserve, write the intent down, start, follow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.engine.place import plan_on
from clbalance.engine.run.values import Attempted, Course
from clbalance.engine.sweep import sweep
from clbalance.errors import TransportError
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.model.job import JobSpec
from clbalance.policy.jobs.record import may_be_moved
from clbalance.policy.placement.charge import most_promised, with_promised
from clbalance.ports import Sessions

if TYPE_CHECKING:  # these follow when nodes have answered: docs/design/startup.md
    from clbalance.engine.run.dispatch import Dispatch
    from clbalance.engine.run.migration import Move

_KEEP_OPEN = 64  # sessions kept for the candidates while the best of them are being chosen
_MOST_LOOKS = 20  # at nodes where others were faster; then the place is good enough
_PAUSE_S = 0.2  # at most, times the round: so that jobs of several nodes do not keep meeting
_PAUSE_AT_MOST_S = 1.0


def attempt(course: Course, job: JobSpec, avoid: Mapping[NodeName, str]) -> Attempted:
    """Try to run `job` once; a node that refuses makes room for the next best.

    `avoid`: where not while others fit, and why not.
    """
    services = course.services
    with services.transport.sessions() as sessions:
        # Half of what can be open, or nodes would wait for ever for the place of one that is kept.
        keep_open = min(_KEEP_OPEN, services.session_limit // 2)
        snapshot = sweep(services, sessions, course.question.candidates, keep_open=keep_open, placing=True)
        refusals: dict[NodeName, str] = {}
        looks = _MOST_LOOKS
        while (plan := _plan(course, snapshot, refusals, avoid)).fits:
            _make_room(sessions, plan, services.session_limit)
            limits = most_promised(plan, snapshot, course.question.request, course.question.policy) if looks else {}
            tried = _dispatch(course, sessions, snapshot, job, plan, limits)
            if isinstance(tried, Attempted):
                return tried
            refused, crowded = tried
            snapshot, looks = with_promised(snapshot, crowded), looks - 1 if crowded else looks
            refusals |= {node: why for node, why in refused.items() if node not in crowded}
            job = replace(job, claim=job.claim + 1)  # one that was made is never made again
            if len(plan.chosen) > 1:
                services.clock.pause(course.question.rng.random() * min(_PAUSE_S * len(refusals), _PAUSE_AT_MOST_S))
    return Attempted(job=job, plan=plan, dispatched=None)


def _dispatch(
    course: Course, sessions: Sessions, snapshot: Snapshot, job: JobSpec, plan: Plan, limits: dict[NodeName, float]
) -> Attempted | tuple[dict[NodeName, str], dict[NodeName, float]]:
    """What came of it; or who refused and why, and what is promised by now where others were faster."""
    from clbalance.engine.run.dispatch import Dispatch  # by now: see docs/design/startup.md

    services = course.services
    dispatch = Dispatch(services, sessions, job, plan)
    refused, crowded = dispatch.reserve(course.question.request, snapshot, limits)
    if refused:
        return refused, crowded
    _close_all_but(sessions, plan)
    services.fail_point("reserved")
    return start_reserved(course, job, plan, dispatch)


def start_reserved(course: Course, job: JobSpec, plan: Plan, dispatch: "Dispatch") -> Attempted:
    """Write down what is meant, start it where it was promised a place, and follow it as far as we are interested."""
    from clbalance.engine.agent.listeners import Recorded

    services = course.services
    intents = dispatch.intents()
    if not services.journal.intend(job.id, attempt=job.attempt, claim=job.claim, intents=intents, plan=plan):
        return Attempted(job=job, plan=plan, dispatched=None, cancelled=True)
    services.fail_point("intended")
    course.listener.placed(job, plan)
    recorded = Recorded(services, job, course.listener, copies=len(intents))
    move = _move(course, job)
    try:
        dispatched = dispatch.run(course.stdin, recorded, course.interest, move)
    except BaseException:
        if move is not None:
            move.give_back()
        raise
    return Attempted(job=job, plan=plan, dispatched=dispatched, foothold=None if move is None else move.foothold)


def _move(course: Course, job: JobSpec) -> "Move | None":
    """What takes it elsewhere when that is asked for; None where nobody may ask, or we do not stay."""
    if course.interest.leave_when_started or not may_be_moved(job, course.question.request, course.tries):
        return None
    from clbalance.engine.run.migration import Move  # most jobs are never moved

    return Move(course, job)


def _plan(course: Course, snapshot: Snapshot, refusals: dict[NodeName, str], avoid: Mapping[NodeName, str]) -> Plan:
    services, question = course.services, course.question
    if not avoid:
        return plan_on(services, snapshot, question, refusals)
    elsewhere = replace(question, request=replace(question.request, excluded=question.request.excluded.union(avoid)))
    plan = plan_on(services, snapshot, elsewhere, refusals)
    if not plan.fits:
        return plan_on(services, snapshot, question, refusals)
    unfit = (replace(one, detail=avoid[one.node]) if one.node in avoid else one for one in plan.unfit)
    return replace(plan, unfit=tuple(unfit))


def _make_room(sessions: Sessions, plan: Plan, limit: int) -> None:
    """The last copies would wait for ever for a place that a session holds which nobody needs."""
    copies = len(plan.chosen)
    if copies > limit:
        raise TransportError(
            f"{copies} copies need {copies} sessions at once, and the limit on open files allows {limit}",
            hint="raise it with `ulimit -n`, or have an administrator raise `ulimit -Hn`",
        )
    if len(sessions.open_nodes().union(plan.chosen)) > limit:
        _close_all_but(sessions, plan)


def _close_all_but(sessions: Sessions, plan: Plan) -> None:
    for node in sessions.open_nodes().difference(plan.chosen):
        sessions.close(node)
