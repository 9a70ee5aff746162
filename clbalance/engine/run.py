"""The whole of `clbalance run` in one sentence: sweep, place, dispatch, follow to the end."""

from dataclasses import dataclass

from clbalance.engine.choose import Question, choose
from clbalance.engine.dispatch import Dispatch, Dispatched
from clbalance.engine.world import World
from clbalance.model import JobSpec, Plan
from clbalance.ports import JobInput, RunListener

_KEEP_OPEN = 64  # sessions kept for the candidates while the best of them are being chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Where a job went and how it ended; `dispatched` is None when too few nodes fit."""

    plan: Plan
    dispatched: Dispatched | None


def run(world: World, question: Question, job: JobSpec, stdin: JobInput, listener: RunListener) -> Ran:
    """Run `job` on the best of the candidates, all copies or none."""
    with world.transport.sessions() as sessions:
        plan = choose(world, sessions, question, keep_open=_KEEP_OPEN)
        if not plan.fits:
            return Ran(plan=plan, dispatched=None)
        listener.placed(plan)
        for node in sessions.open_nodes().difference(plan.chosen):
            sessions.close(node)
        dispatch = Dispatch(sessions, job, plan.chosen, listener=listener, stdin=stdin, world=world)
        return Ran(plan=plan, dispatched=dispatch.run())
