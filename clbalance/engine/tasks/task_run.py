"""Run many tasks on the slots of many nodes (docs/design/tasks.md).

Input: a job whose copies are slots, and its tasks. Result: every task has ended or was not started. Each is recorded
before it starts and after it ends. A slot gets tasks when it has few left, so the first free slot gets the next task.
"""

from collections import Counter
from dataclasses import replace
from functools import cached_property, partial
from signal import Signals
from typing import TYPE_CHECKING

from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.jobs.cancel import end_cancelled
from clbalance.engine.sweep import ask
from clbalance.engine.tasks.durations import remembered_durations
from clbalance.engine.tasks.values import TaskRunContext, TaskRunResult
from clbalance.errors import Interrupted
from clbalance.model import Measured, Plan
from clbalance.policy.placement.quorum import enough_for
from clbalance.ports import SessionEvent

if TYPE_CHECKING:  # imported once nodes have been asked: docs/design/startup.md
    from clbalance.engine.agent.early import EarlyAgents
    from clbalance.engine.open_sweep import OpenSweep
    from clbalance.engine.tasks.open_slots import OpenSlots
    from clbalance.engine.tasks.slots import SlotPlan

_END_WITHIN_S = 1.7  # when stopped, we exit after this time, even if not every node has confirmed its end
_GOODBYE_S = 1.0
_MOST_EARLY = 64
"""Of nodes that get the agent with the probe: until a node is connected, its 60 KB are kept here."""


class TaskRun:
    """One run of the tasks of a job."""

    def __init__(self, context: TaskRunContext) -> None:
        self._context = context
        self._services = context.services

    @cached_property
    def _slots(self) -> "OpenSlots":
        from clbalance.engine.tasks.open_slots import OpenSlots

        return OpenSlots(self._context)

    @property
    def next_claim(self) -> int:
        """Of the next slot; no slot has had it."""
        return self._slots.next_claim

    def carry_out(self, *, has_waited: bool) -> TaskRunResult | Plan:
        """Sweep, open slots, and run the tasks. Returns the plan if no slot fits anywhere.

        `has_waited`: none has fitted so far.
        """
        services, query = self._services, self._context.query
        most_open = min(len(query.candidates), services.session_limit // 2)
        has_ended_others = False
        durations: dict[int, float] | None = None
        while True:
            with services.transport.sessions() as sessions:
                keep_open = 0 if sessions.through_gateways else most_open
                asked = ask(services, sessions, query.candidates, keep_open=keep_open)
                early = self._send_early(asked, most=0 if has_waited else keep_open)
                if self._context.rules.at_once != 1 and durations is None:  # looked up while the nodes answer
                    durations = remembered_durations(services, self._context.job, self._context.tasks)
                    self._slots.assignments.expect(durations)
                asked.listen(enough_for(replace(query.request, pick=1), query.policy, services.clock.now()))
                snapshot = asked.snapshot()
                plan = self._slots.nodes.first(snapshot, self._slots.most())
                if has_ended_others or not end_cancelled(services, snapshot, partial(bool, plan.nodes)):
                    return self._work(asked, plan, early) if plan.nodes else plan.plan
            has_ended_others = True

    def _send_early(self, asked: "OpenSweep", *, most: int) -> "EarlyAgents":
        """Load what opens slots, and pack the agent, while the nodes work. Send it at once if each is to get a slot."""
        from clbalance.engine.agent.early import EarlyAgents

        self._services.agent_source()
        early = EarlyAgents(self._services, asked.sessions)
        asked.overhear = early.hear
        nodes = self._context.query.candidates
        if len(nodes) <= min(self._slots.most(), most, _MOST_EARLY):
            asked.sent_more = nodes
            early.send(nodes)
        return early

    def _work(self, asked: "OpenSweep", plan: "SlotPlan", early: "EarlyAgents") -> TaskRunResult:
        from clbalance.engine.agent.multiplexer import AgentMultiplexer
        from clbalance.engine.agent.sessions import Agents
        from clbalance.engine.tasks.open_slots import STEP_EVERY_S
        from clbalance.engine.tasks.slots import never_fit

        def overhear(event: SessionEvent) -> None:
            if isinstance(answer := asked.take(event), Measured):
                self._slots.nodes.answered(answer)

        for node in never_fit(plan).intersection(asked.sent_more):
            asked.sessions.close(node)  # the agents on others may be asked for a slot later
        self._slots.assignments.listener.placed(self._context.job, plan.plan, Counter(plan.nodes))
        self._multiplexer = AgentMultiplexer(Agents(asked.sessions, self._services, overhear, early))
        interrupted: int | None = None
        try:
            self._slots.begin(self._multiplexer, plan)
            self._multiplexer.listen(self._slots.is_over, look_every_s=STEP_EVERY_S)
        except (Interrupted, BrokenPipeError) as stop:
            interrupted = Signals(stop.signum) if isinstance(stop, Interrupted) else Signals.SIGPIPE
            self._stop(Signals(interrupted))
        else:
            self._multiplexer.finish(_GOODBYE_S)
        finally:
            self._slots.close()
        return TaskRunResult(
            plan=plan.plan,
            slots=self._slots.launches.count,
            reason=self._slots.reason,
            cancelled=self._slots.cancelled or interrupted is not None,
            interrupted=interrupted,
            left_running=self._slots.are_any_left,
        )

    def _stop(self, number: Signals) -> None:
        """End the slots. Exception: after SIGHUP, or of a detached controller, they finish the tasks that they have."""
        if number is Signals.SIGHUP or self._context.accepted:
            self._slots.reason = "the terminal was closed" if number is Signals.SIGHUP else f"stopped by {number.name}"
            return
        self._slots.end_all(f"stopped by {number.name}")
        if number is Signals.SIGPIPE:
            self._slots.assignments.listener = NullTaskListener()
        try:
            self._multiplexer.listen(lambda: not self._slots.are_any_left, _END_WITHIN_S)
        except BrokenPipeError:  # the reader of our output was stopped, too
            self._slots.assignments.listener = NullTaskListener()
            self._multiplexer.listen(lambda: not self._slots.are_any_left, _END_WITHIN_S)
