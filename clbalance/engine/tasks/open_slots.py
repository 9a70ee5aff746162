"""The slots of a run of tasks: they are opened, started, given tasks, and ended; and what they report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.engine.agent.copies import Phase
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.job_messages import COULD_NOT_LOG, TaskFinished
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.answers import remember_refusals
from clbalance.engine.jobs.cancel import cancel_requested
from clbalance.engine.tasks.assignments import TaskAssignments
from clbalance.engine.tasks.given_tasks import GivenTasks
from clbalance.engine.tasks.launches import SlotLaunches
from clbalance.engine.tasks.slot import FED, FED_UNSEEN, Slot
from clbalance.engine.tasks.slots import SlotNodes, SlotPlan
from clbalance.engine.tasks.stuck_slots import StuckSlots
from clbalance.engine.tasks.task_files import Parcel, TaskFiles
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.model import NodeName
from clbalance.model.job_record import Cancelled, Outcome
from clbalance.model.task import Task
from clbalance.policy.jobs.leased import ends_the_job

if TYPE_CHECKING:  # few jobs have files that travel
    from clbalance.engine.files.sending import Sent

STEP_EVERY_S = 0.02
_LOOK_EVERY_S = 0.25


class OpenSlots:
    """Listens to its slots (`SlotListener`) and gives them tasks until there are none."""

    def __init__(self, context: TaskRunContext) -> None:
        self._context = context
        self._services = context.services
        self.assignments = TaskAssignments(context)
        self._queue = self.assignments.queue
        self._slots: dict[int, Slot] = {}
        self._files = TaskFiles(context.services, context.job.files)
        self.launches = SlotLaunches(context, self._files)
        self.nodes = SlotNodes(context.services, context.query)
        self.next_claim = context.job.claim
        """Of the next slot; no slot has had it."""
        self._step_at = self._rested_at = self._look_at = 0.0
        requested = partial(cancel_requested, context.services, context.job.id)
        self._early_end = EarlyEnd(context.services.clock, requested)
        self._no_slots_since: float | None = None
        self._stuck = StuckSlots(self._queue, 2 * context.services.answer_within_s)
        self.reason = ""
        """Why tasks are not given out any more."""
        self._refused = ""
        self.cancelled = False

    def begin(self, multiplexer: AgentMultiplexer, plan: SlotPlan) -> None:
        """Open the slots of the plan."""
        self._multiplexer = multiplexer
        self._given = GivenTasks(self.assignments.log, multiplexer.wake)
        within = frozenset(list(dict.fromkeys(plan.nodes))[: self._services.session_limit])
        for node in plan.nodes:
            if node in within:
                self._open(node)

    def close(self) -> None:
        """Send no more files, give out no more tasks, and write no more of them down."""
        self._files.close()
        self.assignments.log.close()
        self.give_no_more(self._refused or "no node has a slot for it any more")

    @property
    def are_any_left(self) -> bool:
        """Whether a slot has no known end."""
        return bool(self._slots)

    def end_all(self, reason: str) -> None:
        """Give out no more tasks, and end all slots."""
        self.give_no_more(reason)
        self.reason = reason
        for slot in tuple(self._slots.values()):
            slot.end(reason)
            if slot.phase < Phase.STARTING:
                self._drop(slot)

    # -- steps between two events ----------------------------------------------------------------

    def is_over(self) -> bool:
        """Do the steps that are due. Not after each event: the work of many events is recorded and sent at once."""
        now = self._services.clock.monotonic()
        if now < self._step_at and not self._given.can_go_on:
            return False
        self._drop_unneeded()
        self._heed_cancel()
        self._start_admitted()
        self._drop_refused()
        self._take_arrived()
        self._stop_after_failures()
        self._feed()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._look()
        ended_at = self._services.clock.monotonic()
        self._step_at, self._rested_at = now + STEP_EVERY_S, ended_at + 3 * (ended_at - now)
        return not self._slots and not self._may_get_slots()

    def _soon(self) -> None:
        """A slot waits for us: do the next step now, but spend no more than a quarter of the time in steps."""
        self._step_at = min(self._step_at, self._rested_at)

    def _look(self) -> None:
        """Do what need not be done in each step."""
        for slot in tuple(self._slots.values()):
            slot.look_after()
        self._end_stuck()
        self._grow()
        self._report()

    def _may_get_slots(self) -> bool:
        """Without any slot: whether to ask nodes once more for one."""
        now = self._services.clock.monotonic()
        if not self._queue.pending:
            return False
        if self._no_slots_since is None:
            self._no_slots_since = now
        return now < self._no_slots_since + 2 * self._services.answer_within_s

    def most(self) -> int:
        """How many slots can be of use."""
        most = len(self._slots) + self._queue.pending
        return most if self._context.rules.at_once is None else min(most, self._context.rules.at_once)

    def _open(self, node: NodeName) -> None:
        context = self._context
        job = replace(context.job, claim=self.next_claim)
        self.next_claim += 1
        mode = FED_UNSEEN if context.is_unseen or job.files is not None else FED
        answer = self.nodes.plan.answers[node]
        slot = Slot(
            self._services, self._multiplexer, job, answer, request=context.query.request, listener=self, mode=mode
        )
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
        if ready and not self.launches.record(ready, self.nodes.plan.plan):
            self._cancel("cancelled")
        self.launches.start()

    def _drop_refused(self) -> None:
        for slot in tuple(self._slots.values()):
            if reason := slot.refusal():
                self._refused = f"{slot.node}: {reason}"
                remember_refusals(self._services, slot.unfit)
                self._drop(slot)

    def _drop(self, slot: Slot, reason: str = "not needed") -> None:
        slot.give_up()
        slot.forget()
        self._slots.pop(slot.claim, None)
        self.launches.dropped(slot, reason)

    def _take_arrived(self) -> None:
        """Start what waits for files that have arrived. A node that cannot take them gets no more slots.

        Tasks of a slot that takes none any more are given out again when it is over.
        """
        for parcel, sent in self._files.arrived():
            slot = parcel.slot
            if slot.claim not in self._slots or slot.is_ending:
                continue
            reason = sent.failures.get(slot.node)
            if reason is None:
                self._arrived(slot, parcel, sent)
            elif not sent.is_ours:
                self._cannot_take(slot, parcel, reason)
            elif not parcel.tasks:
                self._refused = reason
                self.give_no_more(reason)
                self._drop(slot, reason)
            elif len(parcel.tasks) > 1:
                self._files.send_singly(parcel)
            else:
                self.assignments.not_started(slot, parcel.tasks[0].number, reason)

    def _arrived(self, slot: Slot, parcel: Parcel, sent: "Sent") -> None:
        if not parcel.tasks:
            for text in sent.warnings:
                self.warned(slot, text)
        elif slot.takes_tasks:
            slot.feed(parcel.tasks)

    def _cannot_take(self, slot: Slot, parcel: Parcel, reason: str) -> None:
        self._refused = f"{slot.node}: {reason}"
        self.warned(slot, reason)
        self.nodes.leave(slot.node)
        if not parcel.tasks:
            self._drop(slot, reason)
            return
        for task in parcel.tasks:
            self.assignments.returned(slot, task.number)
        slot.finish()

    def _feed(self) -> None:
        takers = [slot for slot in self._slots.values() if slot.takes_tasks]
        self._given.add(self.assignments.give(takers))
        durable = list(self._given.durable())
        if durable:
            self._services.fail_point("given")
        for slot, some in durable:
            self._send(slot, some)
        waiting = self._given.waiting_slots()
        for slot in takers:
            if slot in waiting or self._files.is_sending_to(slot):
                self._stuck.moved(slot.claim)
            elif not self._queue.pending and not self._queue.may_come_back:
                slot.finish()

    def _send(self, slot: Slot, tasks: Sequence[Task]) -> None:
        """Send tasks to a slot. If it takes none any more, they were never there, and other slots get them."""
        if not slot.takes_tasks:
            for task in tasks:
                self.assignments.returned(slot, task.number)
        elif self._files.sends_to_tasks:
            self._files.send(slot, tasks)
        else:
            slot.feed(tasks)

    def _end_stuck(self) -> None:
        """End slots that owe something for too long. Their tasks may still be started, so no other slot gets them."""
        for slot in self._stuck.overdue(self._slots.values()):
            if slot.is_ending:
                slot.abandon()
            else:
                self.warned(slot, f"its slot has done nothing for {self._stuck.limit_s:g} s; it is ended")
                slot.end("it did nothing")

    def _grow(self) -> None:
        """Open slots on nodes that have answered late, and while tasks wait, where one more may fit."""
        used = Counter(slot.node for slot in self._slots.values())
        for node in self.nodes.late(self.most() - len(self._slots), used):
            self._open(node)
        if self._queue.pending:
            used = Counter(slot.node for slot in self._slots.values())
            for node in self.nodes.further(self.most() - len(self._slots), used):
                self._open(node)

    def _report(self) -> None:
        progress = self.assignments.counts.progress(self._services.clock.monotonic(), self._queue.running)
        self.assignments.listener.progressed(replace(progress, awaited=self._awaited()))

    def _awaited(self) -> tuple[NodeName, ...]:
        """The nodes that are waited for: those that do not answer, and once all tasks are over, those with slots."""
        over = not self._queue.pending and not self._queue.running
        return tuple(dict.fromkeys(slot.node for slot in self._slots.values() if over or not slot.is_settled))

    def give_no_more(self, reason: str) -> None:
        """Leave tasks that wait where they are."""
        if self._queue.forget_pending():
            self.reason = self.reason or reason

    def _heed_cancel(self) -> None:
        """End the slots if a cancel was requested: the process that asked may not have reached every node.

        Slots that end return the tasks that they have not started. Once the job is cancelled, nobody gets those.
        """
        if reason := self._early_end.look(is_ending=self.cancelled):
            self._cancel(reason)
        elif self.cancelled:
            self.give_no_more(self.reason)

    def _cancel(self, reason: str) -> None:
        """The job was cancelled."""
        self.cancelled = True
        self.end_all(reason)

    # -- events of slots -------------------------------------------------------------------------

    def runs(self, slot: Slot, limits: tuple[str, ...]) -> None:
        """A slot runs; the first one is the start of the job."""
        if limits:
            with self._services.without_store():
                self._services.journal.limited(self._context.job.id, slot.claim, slot.node, limits)
        self._no_slots_since = None
        self._soon()
        if self.assignments.counts.started_at is None:
            self.assignments.counts.started_at = self._services.clock.monotonic()
            with self._services.without_store():
                self._services.journal.started(self._context.job.id, self._services.clock.now())

    def began(self, slot: Slot, number: int) -> None:
        self._stuck.moved(slot.claim)
        self._queue.began(slot.claim, number)

    def returned(self, slot: Slot, number: int) -> None:
        self._stuck.moved(slot.claim)
        self.assignments.returned(slot, number)

    def wrote(self, slot: Slot, number: int, stream: str, piece: bytes) -> None:
        self.assignments.wrote(slot, number, stream, piece)

    def finished(self, slot: Slot, entry: TaskFinished) -> None:
        self._stuck.moved(slot.claim)
        self.assignments.finished(slot, entry)
        if not self._queue.with_slot(slot.claim):
            self._soon()

    def warned(self, slot: Slot, text: str) -> None:
        self.assignments.listener.warned(slot.node, text)

    def over(self, slot: Slot, outcome: Outcome, *, log_is_whole: bool) -> None:
        del self._slots[slot.claim]
        slot.forget()
        if not slot.has_run:
            self._files.forget(slot)
        for task in self._given.take_back(slot):
            self.assignments.returned(slot, task.number)
        self.assignments.slot_over(slot, outcome, log_is_whole=log_is_whole)
        job = self._context.job.id
        with self._services.without_store():
            self._services.journal.ended(job, slot.claim, outcome)
        if outcome.end == COULD_NOT_LOG:
            self.nodes.leave(slot.node)
        if (
            isinstance(outcome.end, Cancelled)
            and not self.cancelled
            and (ends_the_job(outcome.end.reason) or cancel_requested(self._services, job))
        ):
            self._cancel(outcome.end.reason)
        self.nodes.soon()

    def _stop_after_failures(self) -> None:
        """Give out no more tasks once too many have failed, nor those that slots have returned since."""
        left = self.assignments.may_fail
        if left is not None and left < 0:
            self.give_no_more("more tasks failed than `--max-fail` allows")
