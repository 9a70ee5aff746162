"""A reservation on the target node of a migration: made before the job stops at the source, used after that."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeAlias

from clbalance.engine.agent.admission import KEEP_EVERY_S
from clbalance.engine.agent.job_messages import label_of
from clbalance.engine.agent.protocol import AgentEvent, LeaseKept, Refused
from clbalance.engine.place import place_on
from clbalance.engine.run.dispatch import Dispatch
from clbalance.engine.run.values import AttemptResult, RunContext
from clbalance.engine.sweep import sweep
from clbalance.errors import TransportError
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.policy.placement.explain import unfit_summary
from clbalance.policy.placement.force import unforced
from clbalance.ports import Closed

StartReserved: TypeAlias = Callable[[JobSpec, Plan, Dispatch], AttemptResult]
"""Starts a job on nodes that admitted it, and follows it."""


def reserve_target(context: RunContext, job: JobSpec, node: NodeName) -> "TargetReservation | str":
    """Reserve `node` for `job` as it would be started there. Returns the reason if that fails."""
    with ExitStack() as stack:
        try:
            taken = _take(context, job, node, stack)
        except TransportError as error:
            return error.message
        if isinstance(taken, TargetReservation):
            taken.held = stack.pop_all()
        return taken


def _take(context: RunContext, job: JobSpec, node: NodeName, stack: ExitStack) -> "TargetReservation | str":
    services, request = context.services, unforced(context.query.request)
    query = replace(context.query, request=request)
    sessions = stack.enter_context(services.transport.sessions())
    snapshot = sweep(services, sessions, (node,), keep_open=1)
    plan = place_on(services, snapshot, query)
    if not plan.fits:
        return f"{node}: {unfit_summary(plan, 1)}"
    dispatch = Dispatch(services, sessions, job, plan, request)
    refused, _ = dispatch.reserve(snapshot, {})
    if refused:
        return f"{node}: {refused[node]}"
    return TargetReservation(context, job, plan, dispatch)


class TargetReservation:
    """The lease on the target. It is held while `keep` is called regularly; `close` gives it back."""

    def __init__(self, context: RunContext, job: JobSpec, plan: Plan, dispatch: Dispatch) -> None:
        self.job = job
        (self.node,) = plan.chosen
        self.lost = ""
        """Why the reservation was lost; empty while it is held."""
        self.held = ExitStack()
        self._plan = plan
        self._dispatch = dispatch
        self._clock = context.services.clock
        self._keep_at = self._clock.monotonic()

    def keep(self) -> None:
        """Handle the node's events, and ask for more time. If the node does not answer, the reservation is lost."""
        if self.lost:
            return
        self._dispatch.agents.drain_events(self._on_event)
        now = self._clock.monotonic()
        if now >= self._keep_at:
            self._keep_at = now + KEEP_EVERY_S
            self._dispatch.agents.ask(self.node, "keep", job=label_of(self.job))
            self._dispatch.agents.expect(self.node, "keep")

    def start(self, job: JobSpec, start: StartReserved) -> AttemptResult | None:
        """Start the job here and follow it; None if the reservation was lost. `job`: the newest spec of the attempt."""
        with self.held:
            self.keep()
            if self.lost:
                return None
            self._dispatch.agents.answered(self.node)
            return start(job, self._plan, self._dispatch)

    def close(self) -> None:
        """Give the reservation back, if it is still ours."""
        self.held.close()

    def _on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        match event:
            case LeaseKept():
                self._dispatch.agents.answered(node)
            case Refused(reason=reason):
                self.lost = reason
            case Closed(cause=cause, reason=reason):
                self.lost = cause.because(reason)
            case _:
                pass  # nothing else was asked for
