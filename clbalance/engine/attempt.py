"""One attempt of a job: sweep, place, reserve, write the intent down, start, follow."""

from dataclasses import dataclass, replace

from clbalance.engine.choose import plan_on
from clbalance.engine.dispatched import Dispatched
from clbalance.engine.question import Question
from clbalance.engine.sweep import sweep
from clbalance.engine.world import World
from clbalance.errors import TransportError
from clbalance.job import JobSpec
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.ports import JobInput, RunListener, Sessions

_KEEP_OPEN = 64  # sessions kept for the candidates while the best of them are being chosen
_PAUSE_S = 0.2  # at most, times the round: so that jobs of several nodes do not keep meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """The job as it was last tried, where, and what came of it; `dispatched` is None when nothing was started."""

    job: JobSpec
    plan: Plan
    dispatched: Dispatched | None
    cancelled: bool = False
    """Somebody cancelled it before it could be started."""


def attempt(
    world: World,
    question: Question,
    job: JobSpec,
    stdin: JobInput,
    listener: RunListener,
    *,
    avoid: frozenset[NodeName],
    detach: bool,
) -> Attempted:
    """Try to run `job` once; a node that refuses makes room for the next best. `avoid` only if others fit."""
    with world.transport.sessions() as sessions:
        # Half of what can be open, or nodes would wait for ever for the place of one that is kept.
        keep_open = min(_KEEP_OPEN, world.session_limit // 2)
        snapshot = sweep(world, sessions, question.candidates, keep_open=keep_open)
        return _dispatch(world, sessions, snapshot, question, job, stdin, listener, avoid, detach)


def _dispatch(  # noqa: PLR0913, PLR0917 - one call, apart only for its length
    world: World,
    sessions: Sessions,
    snapshot: Snapshot,
    question: Question,
    job: JobSpec,
    stdin: JobInput,
    listener: RunListener,
    avoid: frozenset[NodeName],
    detach: bool,
) -> Attempted:
    from clbalance.engine.dispatch import Dispatch  # by now: see docs/design/startup.md
    from clbalance.engine.recorded import Recorded

    refusals: dict[NodeName, str] = {}
    while (plan := _plan(world, snapshot, question, refusals, avoid)).fits:
        _check_session_limit(len(plan.chosen), world.session_limit)
        if len(sessions.open_nodes().union(plan.chosen)) > world.session_limit:
            _close_all_but(sessions, plan)  # or the last copies would wait for ever for a place
        dispatch = Dispatch(world, sessions, job, plan)
        refused = dispatch.reserve(question.request, snapshot)
        if not refused:
            _close_all_but(sessions, plan)
            world.fail_point("reserved")
            intents = dispatch.intents()
            if not world.journal.intend(job.id, attempt=job.attempt, claim=job.claim, intents=intents, plan=plan):
                return Attempted(job=job, plan=plan, dispatched=None, cancelled=True)
            world.fail_point("intended")
            listener.placed(job, plan)
            recorded = Recorded(world, job, listener, copies=len(intents))
            return Attempted(job=job, plan=plan, dispatched=dispatch.run(stdin, recorded, detach=detach))
        refusals |= refused
        job = replace(job, claim=job.claim + 1)  # one that was made is never made again
        if len(plan.chosen) > 1:
            world.clock.pause(question.rng.random() * _PAUSE_S * len(refusals))
    return Attempted(job=job, plan=plan, dispatched=None)


def _plan(
    world: World,
    snapshot: Snapshot,
    question: Question,
    refusals: dict[NodeName, str],
    avoid: frozenset[NodeName],
) -> Plan:
    elsewhere = replace(question, request=replace(question.request, excluded=question.request.excluded | avoid))
    plan = plan_on(world, snapshot, elsewhere, refusals)
    return plan if plan.fits or not avoid else plan_on(world, snapshot, question, refusals)


def _close_all_but(sessions: Sessions, plan: Plan) -> None:
    for node in sessions.open_nodes().difference(plan.chosen):
        sessions.close(node)


def _check_session_limit(copies: int, limit: int) -> None:
    if copies > limit:
        raise TransportError(
            f"{copies} copies need {copies} sessions at once, and the limit on open files allows {limit}",
            hint="raise it with `ulimit -n`, or have an administrator raise `ulimit -Hn`",
        )
