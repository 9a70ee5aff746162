"""Run many tasks on the slots of many nodes: the second long sentence of the program (docs/design/tasks.md).

Enters: a job whose copies are slots, and its tasks. Leaves: every task ended or not started, each written down before
and after. A slot is fed when it has almost nothing left, so that whichever is free first gets the next task.
"""

from collections import Counter
from dataclasses import dataclass, replace
from signal import Signals

from clbalance.engine.agents import Agents
from clbalance.engine.growth import Growth
from clbalance.engine.job_words import end_of
from clbalance.engine.question import Question
from clbalance.engine.slot import Slot
from clbalance.engine.slot_log import Finished
from clbalance.engine.slots import SlotPlan, plan_slots
from clbalance.engine.sweep import sweep
from clbalance.engine.switchboard import Switchboard
from clbalance.engine.task_tally import Tally
from clbalance.engine.unheard import UnheardTasks
from clbalance.engine.world import World
from clbalance.errors import Interrupted
from clbalance.job import Cancelled, End, JobSpec, JobState, Outcome, TaskRules, Tries
from clbalance.model import NodeName, Plan
from clbalance.nodes import fold
from clbalance.policy.roster import Roster
from clbalance.policy.tasks import depth, most_failures
from clbalance.policy.verdict import state_of
from clbalance.ports import JobInput, Sessions, TaskListener
from clbalance.task import Task, TaskEnded, TaskGiven, TaskReturned

_END_WITHIN_S = 1.7  # told to stop, we go then, whether or not every node has confirmed its end
_REPORT_EVERY_S = 0.25
_GOODBYE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCourse:
    """What a run of tasks is given."""

    world: World
    question: Question
    job: JobSpec
    """`claim` is that of the first slot."""
    tasks: tuple[Task, ...]
    rules: TaskRules
    tries: Tries
    stdin: JobInput
    listener: TaskListener


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksRan:
    """How it went. Which task ended how is in the job's log; `left` are those that were not started, `why` not."""

    plan: Plan
    slots: int
    why: str
    """Those that were not started were not."""
    cancelled: bool = False
    """By somebody, or by the signal that interrupted us."""
    interrupted: int | None = None
    goes_on: bool = False
    """Slots do what they have, without us."""


class TaskRun:
    """Hears its slots (`SlotHearer`) and gives them tasks until there are none."""

    def __init__(self, course: TaskCourse) -> None:
        self._course = course
        self._world = course.world
        self._listener: TaskListener = course.listener
        self._log = course.world.journal.task_log(course.job.id)
        self._roster = Roster(course.tasks, course.tries)
        self._slots: dict[int, Slot] = {}
        self._opened = 0
        self._next_claim = course.job.claim
        self._proven: set[int] = set()
        """Slots that have ended a task: the first of one that has not may be long, and nothing waits behind it."""
        self._tally = Tally(len(course.tasks))
        self._report_at = 0.0
        self._growth = Growth(course.world.clock)
        self._alone_since: float | None = None
        self._why = ""
        self._refused = ""
        self._cancelled = False
        self._plan: SlotPlan | None = None

    def carry_out(self) -> TasksRan | Plan:
        """The plan, where no slot fits anywhere."""
        world, question = self._world, self._course.question
        with world.transport.sessions() as sessions:
            keep_open = min(len(question.candidates), world.session_limit // 2)
            snapshot = sweep(world, sessions, question.candidates, keep_open=keep_open)
            self._plan = plan_slots(world, snapshot, question, self._most_slots())
            if not self._plan.nodes:
                return self._plan.plan
            return self._work(sessions, self._plan)

    def _work(self, sessions: Sessions, plan: SlotPlan) -> TasksRan:
        self._listener.placed(self._course.job, plan.plan, Counter(plan.nodes))
        self._board = Switchboard(Agents(sessions, self._world))
        interrupted: int | None = None
        try:
            within = frozenset(list(dict.fromkeys(plan.nodes))[: self._world.session_limit])
            for node in plan.nodes:
                if node in within:
                    self._open(node)
            self._growth.later()
            self._board.listen(self._is_over)
        except (Interrupted, BrokenPipeError) as stop:
            interrupted = Signals(stop.signum) if isinstance(stop, Interrupted) else Signals.SIGPIPE
            self._stop(Signals(interrupted))
        else:
            self._board.finish(_GOODBYE_S)
        self._give_no_more(self._refused or "no node has a slot for it any more")
        return TasksRan(
            plan=plan.plan,
            slots=self._opened,
            why=self._why,
            cancelled=self._cancelled or interrupted is not None,
            interrupted=interrupted,
            goes_on=bool(self._slots),
        )

    def _stop(self, number: Signals) -> None:
        """Hung up on, the slots do what they have and go; else they are ended."""
        if number is Signals.SIGHUP:
            self._why = "the terminal was closed"
            return
        self._give_no_more(f"stopped by {number.name}")
        for slot in self._slots.values():
            slot.end(self._why)
        if number is Signals.SIGPIPE:
            self._listener = UnheardTasks()
        try:
            self._board.listen(lambda: not self._slots, _END_WITHIN_S)
        except BrokenPipeError:  # who reads us was stopped, too
            self._listener = UnheardTasks()
            self._board.listen(lambda: not self._slots, _END_WITHIN_S)

    # -- what is done between two events ---------------------------------------------------------

    def _is_over(self) -> bool:
        self._start_what_was_admitted()
        self._drop_what_was_refused()
        self._feed()
        self._grow()
        self._report()
        return not self._slots and not self._hopes()

    def _hopes(self) -> bool:
        """Without any slot, whether nodes will be asked once more for one."""
        now = self._world.clock.monotonic()
        if not self._roster.pending:
            return False
        if self._alone_since is None:
            self._alone_since = now
        return now < self._alone_since + 2 * self._world.answer_within_s

    def _most_slots(self) -> int:
        """How many can be of use."""
        most = len(self._slots) + self._roster.pending
        return most if self._course.rules.at_once is None else min(most, self._course.rules.at_once)

    def _open(self, node: NodeName) -> None:
        assert self._plan is not None, "there is a plan before there are slots"
        job = replace(self._course.job, claim=self._next_claim)
        self._next_claim += 1
        request = self._course.question.request
        slot = Slot(self._world, self._board, job, self._plan.answers[node], request=request, hearer=self)
        self._slots[slot.claim] = slot

    def _start_what_was_admitted(self) -> None:
        ready = [slot for slot in self._slots.values() if slot.waits_for_start]
        if not ready or not self._roster.pending:
            for slot in ready:
                self._drop(slot)
            return
        course, journal = self._course, self._world.journal
        plan = None if self._opened or self._plan is None else self._plan.plan
        intents = {slot.claim: slot.intent for slot in ready}
        if not journal.intend_slots(course.job.id, attempt=course.job.attempt, slots=intents, plan=plan):
            self._cancel("cancelled")
            return
        self._world.fail_point("intended")
        self._opened += len(ready)
        for slot in ready:
            slot.start(course.stdin, fold([slot.node]))

    def _drop_what_was_refused(self) -> None:
        for slot in tuple(self._slots.values()):
            slot.look_after()
            if slot.claim in self._slots and slot.refusal() is not None:
                self._refused = f"{slot.node}: {slot.refusal()}"
                self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        slot.give_up()
        self._slots.pop(slot.claim, None)

    def _feed(self) -> None:
        """Give to each slot that has little left; all of it is written down, once, before any of it is sent."""
        takers = [slot for slot in self._slots.values() if slot.takes_tasks]
        short = depth(self._tally.mean_s, self._roster.pending, len(takers), self._may_fail())
        meals: list[tuple[Slot, list[Task]]] = []
        for slot in takers:
            has, much = self._roster.with_slot(slot.claim), short if slot.claim in self._proven else 1
            if has <= much // 2 and self._roster.pending:
                meals.append((slot, self._roster.take(slot.claim, slot.node, much - has)))
        if meals:
            given = [
                TaskGiven(number=one.number, node=slot.node, claim=slot.claim) for slot, some in meals for one in some
            ]
            self._log.add(given, durable=True)
            self._world.fail_point("given")
            for slot, some in meals:
                slot.feed(some)
        if not self._roster.pending and not self._roster.may_come_back:
            for slot in takers:
                slot.finish()

    def _grow(self) -> None:
        """Ask nodes for further slots now and then, while tasks wait: they know best what they have to give by now."""
        if not self._roster.pending or not self._growth.is_due or self._plan is None:
            return
        rng, excluded = self._course.question.rng, self._course.question.request.excluded
        nodes = sorted((node for node in self._plan.answers if node not in excluded), key=lambda _: rng.random())
        for node in nodes[: self._most_slots() - len(self._slots)]:
            self._open(node)
        self._growth.later()

    def _report(self) -> None:
        now = self._world.clock.monotonic()
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY_S
            self._listener.progressed(self._tally.progress(now, self._roster.running))

    def _give_no_more(self, why: str) -> None:
        if self._roster.forget_pending():
            self._why = self._why or why

    def _cancel(self, why: str) -> None:
        """Somebody has cancelled the job."""
        self._give_no_more(why)
        self._why, self._cancelled = why, True
        for slot in tuple(self._slots.values()):
            slot.end(why)
            if slot.phase < slot.phase.STARTING:
                self._drop(slot)

    # -- what slots tell -------------------------------------------------------------------------

    def runs(self, slot: Slot) -> None:
        """Takes the first one for the start of the job."""
        self._alone_since = None
        if self._tally.started_at is None:
            self._tally.started_at = self._world.clock.monotonic()
            self._world.journal.started(self._course.job.id, self._world.clock.now())

    def began(self, slot: Slot, number: int) -> None:
        self._roster.began(slot.claim, number)

    def returned(self, slot: Slot, number: int) -> None:
        self._roster.returned(slot.claim, number)
        self._log.add([TaskReturned(number=number, claim=slot.claim)], durable=False)

    def wrote(self, slot: Slot, number: int, stream: str, piece: bytes) -> None:
        self._listener.output(number, slot.node, stream, piece)

    def finished(self, slot: Slot, entry: Finished) -> None:
        end = end_of(entry.end, self._course.job.time_limit_s)
        is_over = self._roster.ended(slot.claim, entry.number, end)
        if is_over is not None:
            self._proven.add(slot.claim)
            self._tally.ran(entry.seconds)
            self._tell(slot, entry.number, end, entry.seconds, is_over=is_over)

    def warned(self, slot: Slot, text: str) -> None:
        self._listener.warned(slot.node, text)

    def over(self, slot: Slot, outcome: Outcome, *, log_is_whole: bool) -> None:
        """Durable before its node forgets it."""
        del self._slots[slot.claim]
        for fate in self._roster.slot_over(slot.claim, outcome.end, log_is_whole=log_is_whole):
            if fate.end is None:
                self._log.add([TaskReturned(number=fate.number, claim=slot.claim)], durable=False)
            else:
                self._tell(slot, fate.number, fate.end, 0.0, is_over=fate.is_over)
        self._log.add([], durable=True)
        self._world.journal.ended(self._course.job.id, slot.claim, outcome)
        if isinstance(outcome.end, Cancelled) and not self._cancelled and not self._why:
            self._cancel(outcome.end.why)
        self._growth.soon()

    def _tell(self, slot: Slot, number: int, end: End, seconds: float, *, is_over: bool) -> None:
        now = self._world.clock.now()
        ended = TaskEnded(number=number, node=slot.node, claim=slot.claim, end=end, seconds=seconds, at=now)
        self._log.add([ended], durable=False)
        if not is_over:
            return
        self._tally.is_over(failed=state_of(end) is not JobState.COMPLETED)
        self._listener.ended(ended)
        left = self._may_fail()
        if left is not None and left < 0:
            self._give_no_more(f"{self._tally.failed} tasks have failed")

    def _may_fail(self) -> int | None:
        most = most_failures(self._course.rules, len(self._course.tasks))
        return None if most is None else most - self._tally.failed
