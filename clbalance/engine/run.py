"""The whole of `clbalance run` in one sentence: sweep, place, reserve, start, follow to the end."""

import random
from dataclasses import dataclass, replace

from clbalance.engine.choose import plan_on
from clbalance.engine.dispatched import Dispatched
from clbalance.engine.question import Question
from clbalance.engine.sweep import sweep
from clbalance.engine.world import World
from clbalance.errors import TransportError
from clbalance.model import JobSpec, NodeName, Plan
from clbalance.ports import JobInput, RunListener, Sessions

_KEEP_OPEN = 64  # sessions kept for the candidates while the best of them are being chosen
_PAUSE_S = 0.2  # at most, times the round: so that jobs of several nodes do not keep meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Where a job went and how it ended; `dispatched` is None when too few nodes fit."""

    plan: Plan
    dispatched: Dispatched | None


def run(world: World, question: Question, job: JobSpec, stdin: JobInput, listener: RunListener) -> Ran:
    """Run `job` on the best of the candidates, all copies or none; a node that refuses makes room for the next best."""
    with world.transport.sessions() as sessions:
        # Half of what can be open, or nodes would wait for ever for the place of one that is kept.
        keep_open = min(_KEEP_OPEN, world.session_limit // 2)
        snapshot = sweep(world, sessions, question.candidates, keep_open=keep_open)
        from clbalance.engine.dispatch import Dispatch  # by now: see docs/design/startup.md

        refusals: dict[NodeName, str] = {}
        while (plan := plan_on(world, snapshot, question, refusals)).fits:
            _check_session_limit(len(plan.chosen), world.session_limit)
            if len(sessions.open_nodes().union(plan.chosen)) > world.session_limit:
                _close_all_but(sessions, plan)  # or the last copies would wait for ever for a place
            dispatch = Dispatch(
                sessions, job, plan, question.request, snapshot=snapshot, listener=listener, stdin=stdin, world=world
            )
            refused = dispatch.reserve()
            if not refused:
                _close_all_but(sessions, plan)
                listener.placed(plan)
                return Ran(plan=plan, dispatched=dispatch.run())
            refusals |= refused
            job = replace(job, claim=job.claim + 1)  # one that was made is never made again
            if len(plan.chosen) > 1:
                sessions.next(random.uniform(0, _PAUSE_S * len(refusals)))
        return Ran(plan=plan, dispatched=None)


def _close_all_but(sessions: Sessions, plan: Plan) -> None:
    for node in sessions.open_nodes().difference(plan.chosen):
        sessions.close(node)


def _check_session_limit(copies: int, limit: int) -> None:
    if copies > limit:
        raise TransportError(
            f"{copies} copies need {copies} sessions at once, and the limit on open files allows {limit}",
            hint="raise it with `ulimit -n`, or have an administrator raise `ulimit -Hn`",
        )
