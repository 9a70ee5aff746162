"""Run many tasks on the slots of many nodes (docs/design/tasks.md).

Input: a job whose copies are slots, and its tasks. Result: every task has ended or was not started. Each is recorded
before it starts and after it ends. A slot gets tasks when it has few left, so the first free slot gets the next task.
"""

from collections import Counter
from dataclasses import replace
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING

from clbalance.engine.agent.copies import Phase
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.job_messages import COULD_NOT_LOG, TaskFinished
from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.answers import remember_refusals
from clbalance.engine.jobs.cancel import cancel_requested, end_cancelled
from clbalance.engine.sweep import ask
from clbalance.engine.tasks.assignments import TaskAssignments, TaskRunContext, TaskRunResult
from clbalance.engine.tasks.slot import FED, FED_UNSEEN, Slot
from clbalance.engine.tasks.slots import SlotBackoff, SlotPlan, may_take_more, plan_slots
from clbalance.engine.tasks.stuck_slots import StuckSlots
from clbalance.errors import Interrupted
from clbalance.model import Measured, NodeName, Plan, Snapshot
from clbalance.model.job_record import Cancelled, Outcome
from clbalance.policy.jobs.leased import ends_the_job
from clbalance.policy.placement.quorum import enough_for
from clbalance.ports import SessionEvent, Sessions

if TYPE_CHECKING:  # imported once nodes have been asked
    from clbalance.engine.open_sweep import OpenSweep

_END_WITHIN_S = 1.7  # when stopped, we exit after this time, even if not every node has confirmed its end
_REPORT_EVERY_S = 0.25
_STEP_EVERY_S = 0.02
_GOODBYE_S = 1.0


class TaskRun:
    """Listens to its slots (`SlotListener`) and gives them tasks until there are none."""

    def __init__(self, context: TaskRunContext) -> None:
        self._context = context
        self._services = context.services
        self._assignments = TaskAssignments(context)
        self._queue = self._assignments.queue
        self._slots: dict[int, Slot] = {}
        self._opened = 0
        self.next_claim = context.job.claim
        """Of the next slot; no slot has had it."""
        self._report_at = 0.0
        self._step_at = 0.0
        requested = partial(cancel_requested, context.services, context.job.id)
        self._early_end = EarlyEnd(context.services.clock, requested)
        self._backoff = SlotBackoff(context.services.clock)
        self._no_slots_since: float | None = None
        self._stuck = StuckSlots(self._queue, 2 * context.services.answer_within_s)
        self._reason = ""
        self._refused = ""
        self._cancelled = False
        self._unusable: set[NodeName] = set()
        self._started_on: set[NodeName] = set()
        self._plan: SlotPlan | None = None
        self._late: list[Measured] = []
        """Nodes that have answered since the plan was made."""

    def carry_out(self) -> TaskRunResult | Plan:
        """Sweep, open slots, and run the tasks. Returns the plan if no slot fits anywhere."""
        services, query = self._services, self._context.query
        keep_open = min(len(query.candidates), services.session_limit // 2)
        has_ended_others = False
        while True:
            with services.transport.sessions() as sessions:
                asked = ask(services, sessions, query.candidates, keep_open=keep_open)
                asked.listen(enough_for(replace(query.request, pick=1), query.policy, services.clock.now()))
                snapshot = asked.snapshot()
                self._plan = plan = plan_slots(services, snapshot, query, self._most_slots())
                if has_ended_others or not end_cancelled(services, snapshot, partial(bool, plan.nodes)):
                    return self._work(sessions, plan, asked) if plan.nodes else plan.plan
            has_ended_others = True

    def _work(self, sessions: Sessions, plan: SlotPlan, asked: "OpenSweep") -> TaskRunResult:
        def overhear(event: SessionEvent) -> None:
            if isinstance(answer := asked.take(event), Measured):
                self._late.append(answer)

        self._assignments.listener.placed(self._context.job, plan.plan, Counter(plan.nodes))
        self._multiplexer = AgentMultiplexer(Agents(sessions, self._services, overhear))
        interrupted: int | None = None
        try:
            within = frozenset(list(dict.fromkeys(plan.nodes))[: self._services.session_limit])
            for node in plan.nodes:
                if node in within:
                    self._open(node)
            self._backoff.later()
            self._multiplexer.listen(self._is_over, look_every_s=_STEP_EVERY_S)
        except (Interrupted, BrokenPipeError) as stop:
            interrupted = Signals(stop.signum) if isinstance(stop, Interrupted) else Signals.SIGPIPE
            self._stop(Signals(interrupted))
        else:
            self._multiplexer.finish(_GOODBYE_S)
        self._give_no_more(self._refused or "no node has a slot for it any more")
        return TaskRunResult(
            plan=plan.plan,
            slots=self._opened,
            reason=self._reason,
            cancelled=self._cancelled or interrupted is not None,
            interrupted=interrupted,
            left_running=bool(self._slots),
        )

    def _stop(self, number: Signals) -> None:
        """End the slots. Exception: after SIGHUP, or of a detached controller, they finish the tasks that they have."""
        if number is Signals.SIGHUP or self._context.accepted:
            self._reason = "the terminal was closed" if number is Signals.SIGHUP else f"stopped by {number.name}"
            return
        self._give_no_more(f"stopped by {number.name}")
        for slot in self._slots.values():
            slot.end(self._reason)
        if number is Signals.SIGPIPE:
            self._assignments.listener = NullTaskListener()
        try:
            self._multiplexer.listen(lambda: not self._slots, _END_WITHIN_S)
        except BrokenPipeError:  # the reader of our output was stopped, too
            self._assignments.listener = NullTaskListener()
            self._multiplexer.listen(lambda: not self._slots, _END_WITHIN_S)

    # -- steps between two events ----------------------------------------------------------------

    def _is_over(self) -> bool:
        """Do the steps that are due. Not after each event: the work of many events is recorded and sent at once."""
        now = self._services.clock.monotonic()
        if now < self._step_at:
            return False
        self._step_at = now + _STEP_EVERY_S
        self._drop_unneeded()
        self._heed_cancel()
        self._start_admitted()
        self._drop_refused()
        self._feed()
        self._join_late()
        self._end_stuck()
        self._grow()
        self._report()
        return not self._slots and not self._may_get_slots()

    def _may_get_slots(self) -> bool:
        """Without any slot: whether to ask nodes once more for one."""
        now = self._services.clock.monotonic()
        if not self._queue.pending:
            return False
        if self._no_slots_since is None:
            self._no_slots_since = now
        return now < self._no_slots_since + 2 * self._services.answer_within_s

    def _most_slots(self) -> int:
        """How many slots can be of use."""
        most = len(self._slots) + self._queue.pending
        return most if self._context.rules.at_once is None else min(most, self._context.rules.at_once)

    def _open(self, node: NodeName) -> None:
        assert self._plan is not None, "there is a plan before there are slots"
        job = replace(self._context.job, claim=self.next_claim)
        self.next_claim += 1
        request = self._context.query.request
        mode = FED_UNSEEN if self._context.is_unseen else FED
        answer = self._plan.answers[node]
        slot = Slot(self._services, self._multiplexer, job, answer, request=request, listener=self, mode=mode)
        self._slots[slot.claim] = slot

    def _drop_unneeded(self) -> None:
        """Without a task to give, wait for no node that has not started its slot yet."""
        if self._queue.pending:
            return
        for slot in tuple(self._slots.values()):
            if slot.waits_for_start or (slot.phase < Phase.STARTING and not self._queue.may_come_back):
                self._drop(slot)

    def _start_admitted(self) -> None:
        ready = [slot for slot in self._slots.values() if slot.waits_for_start]
        if not ready:
            return
        context, journal = self._context, self._services.journal
        plan = None if self._opened or self._plan is None else self._plan.plan
        intents = {slot.claim: slot.intent for slot in ready}
        if not journal.record_slot_launches(context.job.id, attempt=context.job.attempt, slots=intents, plan=plan):
            self._cancel("cancelled")
            return
        self._services.fail_point("intended")
        self._opened += len(ready)
        if self._plan is not None:
            nodes = {slot.node for slot in ready}
            self._services.tell_forced(context.job, self._plan.plan, nodes - self._started_on)
            self._started_on |= nodes
        for slot in ready:
            slot.start(context.stdin)

    def _drop_refused(self) -> None:
        for slot in tuple(self._slots.values()):
            slot.look_after()
            if slot.claim in self._slots and (reason := slot.refusal()):
                self._refused = f"{slot.node}: {reason}"
                remember_refusals(self._services, slot.unfit)
                self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        slot.give_up()
        slot.forget()
        self._slots.pop(slot.claim, None)

    def _feed(self) -> None:
        takers = [slot for slot in self._slots.values() if slot.takes_tasks]
        batches = self._assignments.give(takers)
        if batches:
            self._services.fail_point("given")
        for slot, some in batches:
            slot.feed(some)
        if not self._queue.pending and not self._queue.may_come_back:
            for slot in takers:
                slot.finish()

    def _end_stuck(self) -> None:
        """End slots that owe something for too long. Their tasks may still be started, so no other slot gets them."""
        for slot in self._stuck.overdue(self._slots.values()):
            if slot.is_ending:
                slot.abandon()
            else:
                self.warned(slot, f"its slot has done nothing for {self._stuck.limit_s:g} s; it is ended")
                slot.end("it did nothing")

    def _grow(self) -> None:
        """While tasks wait, ask nodes for further slots now and then: their admission knows what is free."""
        if not self._queue.pending or not self._backoff.is_due or self._plan is None:
            return
        counts = Counter(slot.node for slot in self._slots.values())
        may = may_take_more(self._plan, self._context.query.request, counts, most_nodes=self._services.session_limit)
        nodes = sorted(may - self._unusable, key=lambda _: self._context.query.rng.random())
        for node in nodes[: self._most_slots() - len(self._slots)]:
            self._open(node)
        self._backoff.later()

    def _join_late(self) -> None:
        """Open slots on nodes that answered late."""
        if not self._late or self._plan is None:
            return
        snapshot = Snapshot(taken_at=self._services.clock.now(), answers=tuple(self._late))
        self._late.clear()
        late = plan_slots(self._services, snapshot, self._context.query, self._most_slots() - len(self._slots))
        self._plan = self._plan.joined_by(late)
        if len({slot.node for slot in self._slots.values()}.union(late.nodes)) <= self._services.session_limit:
            for node in late.nodes:
                self._open(node)

    def _report(self) -> None:
        now = self._services.clock.monotonic()
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY_S
            progress = self._assignments.counts.progress(now, self._queue.running)
            self._assignments.listener.progressed(replace(progress, awaited=self._awaited()))

    def _awaited(self) -> tuple[NodeName, ...]:
        """The nodes that are waited for: those that do not answer, and once all tasks are over, those with slots."""
        over = not self._queue.pending and not self._queue.running
        return tuple(dict.fromkeys(slot.node for slot in self._slots.values() if over or not slot.is_settled))

    def _give_no_more(self, reason: str) -> None:
        if self._queue.forget_pending():
            self._reason = self._reason or reason

    def _heed_cancel(self) -> None:
        """End the slots if a cancel was requested: the process that asked may not have reached every node.

        Slots that end return the tasks that they have not started. Once the job is cancelled, nobody gets those.
        """
        if reason := self._early_end.look(is_ending=self._cancelled):
            self._cancel(reason)
        elif self._cancelled:
            self._give_no_more(self._reason)

    def _cancel(self, reason: str) -> None:
        """The job was cancelled: give out no more tasks, and end all slots."""
        self._give_no_more(reason)
        self._reason, self._cancelled = reason, True
        for slot in tuple(self._slots.values()):
            slot.end(reason)
            if slot.phase < slot.phase.STARTING:
                self._drop(slot)

    # -- events of slots -------------------------------------------------------------------------

    def runs(self, slot: Slot, limits: tuple[str, ...]) -> None:
        """A slot runs; the first one is the start of the job."""
        if limits:
            with self._services.without_store():
                self._services.journal.limited(self._context.job.id, slot.claim, slot.node, limits)
        self._no_slots_since = None
        if self._assignments.counts.started_at is None:
            self._assignments.counts.started_at = self._services.clock.monotonic()
            with self._services.without_store():
                self._services.journal.started(self._context.job.id, self._services.clock.now())

    def began(self, slot: Slot, number: int) -> None:
        self._stuck.moved(slot.claim)
        self._queue.began(slot.claim, number)

    def returned(self, slot: Slot, number: int) -> None:
        self._stuck.moved(slot.claim)
        self._assignments.returned(slot, number)

    def wrote(self, slot: Slot, number: int, stream: str, piece: bytes) -> None:
        self._assignments.wrote(slot, number, stream, piece)

    def finished(self, slot: Slot, entry: TaskFinished) -> None:
        self._stuck.moved(slot.claim)
        self._assignments.finished(slot, entry)
        self._stop_after_failures()

    def warned(self, slot: Slot, text: str) -> None:
        self._assignments.listener.warned(slot.node, text)

    def over(self, slot: Slot, outcome: Outcome, *, log_is_whole: bool) -> None:
        del self._slots[slot.claim]
        slot.forget()
        self._assignments.slot_over(slot, outcome, log_is_whole=log_is_whole)
        self._stop_after_failures()
        job = self._context.job.id
        with self._services.without_store():
            self._services.journal.ended(job, slot.claim, outcome)
        if outcome.end == COULD_NOT_LOG:
            self._unusable.add(slot.node)
        if (
            isinstance(outcome.end, Cancelled)
            and not self._cancelled
            and (ends_the_job(outcome.end.reason) or cancel_requested(self._services, job))
        ):
            self._cancel(outcome.end.reason)
        self._backoff.soon()

    def _stop_after_failures(self) -> None:
        left = self._assignments.may_fail
        if left is not None and left < 0:
            self._give_no_more("more tasks failed than `--max-fail` allows")
