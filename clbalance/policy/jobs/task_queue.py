"""Which task is where: pending, with a slot, or over. A state machine without effects; the engine does what it says.

What a slot was given comes back when it says so, or when it has ended and its log does not tell of its start. A
task of which only the start is known counts as ended with its slot: it may have run, and is not run again unasked.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import field
from heapq import heapify, heappop, heappush
from itertools import islice

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import End, Exited, Killed, NodeFailed, Outcome
from clbalance.model.task import Task
from clbalance.policy.jobs.outcome import state_of
from clbalance.policy.jobs.requeue import next_retry

_LOOK_AT = 32
"""Tasks that have failed, for one that did not fail on this node."""


@dataclass(slots=True)
class _AssignedTask:
    """What one slot has; `started` of those its log tells."""

    node: NodeName
    given: dict[int, Task] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Past:
    """How often a task has failed, and where."""

    failures: int = 0
    node_failures: int = 0
    excluded_nodes: frozenset[NodeName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTask:
    """What became of a task whose slot has ended; `end` None: it was not started there, and is pending again."""

    number: int
    end: End | None
    is_over: bool


class TaskQueue:
    """Slots are named by their claims. Tasks go in the order of their numbers, those that have failed behind them."""

    def __init__(self, tasks: Iterable[Task], restart_policy: RestartPolicy) -> None:
        self._tasks = {task.number: task for task in tasks}
        self._fresh = list(self._tasks)
        heapify(self._fresh)
        self._again: deque[int] = deque()
        self._restart_policy = restart_policy
        self._held: dict[int, _AssignedTask] = {}
        self._past: dict[int, _Past] = {}

    @property
    def pending(self) -> int:
        """How many wait for a slot."""
        return len(self._fresh) + len(self._again)

    @property
    def out(self) -> int:
        """How many are with slots."""
        return sum(len(held.given) for held in self._held.values())

    @property
    def running(self) -> int:
        """How many slots have something to do."""
        return sum(bool(held.given) for held in self._held.values())

    @property
    def may_come_back(self) -> bool:
        """Whether what is with slots now may be pending again, and need one."""
        restart_policy = self._restart_policy
        return self.out > 0 and bool(restart_policy.retry or restart_policy.requeue or restart_policy.requeue_exits)

    def with_slot(self, claim: int) -> int:
        """How many a slot has."""
        return len(self._held[claim].given) if claim in self._held else 0

    def take(self, claim: int, node: NodeName, most: int) -> list[Task]:
        """Up to `most` tasks for a slot, in their order; those that failed on its node only if there are no others."""
        held = self._held.setdefault(claim, _AssignedTask(node))
        taken: list[Task] = []
        while self.pending and len(taken) < most:
            taken.append(self._next_for(node))
        held.given |= {task.number: task for task in taken}
        return taken

    def began(self, claim: int, number: int) -> None:
        """A slot's log says that it is started."""
        if claim in self._held:
            self._held[claim].started.add(number)

    def returned(self, claim: int, number: int) -> None:
        """A slot gives it back unstarted."""
        held = self._held.get(claim)
        if held is not None and (task := held.given.pop(number, None)):
            held.started.discard(number)
            self._put_back(task)

    def ended(self, claim: int, number: int, end: End) -> bool | None:
        """How it ended; whether it is over, or else pending once more. None: the slot has no such task."""
        held = self._held.get(claim)
        task = None if held is None else held.given.pop(number, None)
        if held is None or task is None:
            return None
        held.started.discard(number)
        return not self._tries_again(task, held.node, end)

    def has(self, claim: int, number: int) -> bool:
        """Whether a slot has that task."""
        return claim in self._held and number in self._held[claim].given

    def slot_over(self, claim: int, how: End, *, log_is_whole: bool) -> list[LostTask]:
        """A slot has ended so: what became of the tasks of which it has told no end.

        What is not in a log that is whole was not started; else nobody knows.
        """
        held = self._held.pop(claim, None)
        if held is None:
            return []
        fates: list[LostTask] = []
        for number, task in reversed(held.given.items()):
            if log_is_whole and number not in held.started:
                self._put_back(task)
                fates.append(LostTask(number=number, end=None, is_over=False))
            else:
                end = with_its_slot(how)
                fates.append(LostTask(number=number, end=end, is_over=not self._tries_again(task, held.node, end)))
        return fates[::-1]

    def forget_pending(self) -> Sequence[Task]:
        """No more are given out: what was not started will not be."""
        left = tuple(self._tasks[number] for number in (*sorted(self._fresh), *self._again))
        self._fresh.clear()
        self._again.clear()
        return left

    def _next_for(self, node: NodeName) -> Task:
        if self._fresh:
            return self._tasks[heappop(self._fresh)]
        for at, number in enumerate(islice(self._again, _LOOK_AT)):
            if node not in self._past[number].excluded_nodes:
                del self._again[at]
                return self._tasks[number]
        return self._tasks[self._again.popleft()]

    def _put_back(self, task: Task) -> None:
        if task.number in self._past:
            self._again.appendleft(task.number)
        else:
            heappush(self._fresh, task.number)

    def _tries_again(self, task: Task, node: NodeName, end: End) -> bool:
        past = self._past.get(task.number, _Past())
        outcome = Outcome(node=node, rank=0, end=end, seconds=0.0)
        once_more = next_retry(
            self._restart_policy, (outcome,), failures=past.failures, node_failures=past.node_failures
        )
        if once_more is None:
            return False
        past.failures += state_of(end) == "FAILED"
        past.node_failures += isinstance(end, NodeFailed)
        past.excluded_nodes = past.excluded_nodes.union(once_more.excluded_nodes)
        self._past[task.number] = past
        self._again.append(task.number)
        return True


def with_its_slot(how: End) -> End:
    """The end of a task whose slot has ended so; what ends of itself has told all ends, so that it was killed."""
    return Killed(signal=9) if isinstance(how, Exited) else how
