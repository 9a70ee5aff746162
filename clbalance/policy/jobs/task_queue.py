"""The queue of a task job: each task is pending, with a slot, or over. A state machine; the engine has the effects.

A task comes back if its slot returns it, or if the slot has ended and its log has no start of the task. A task with a
known start only ends with its slot: it may have run, and is run again only by the restart policy.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
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
from clbalance.policy.jobs.task_durations import turn_of

_LOOK_AT = 32
"""How many failed tasks to search for one that has not failed on this node."""


@dataclass(slots=True)
class _AssignedTask:
    """The tasks of one slot; `started`: those with a start in its log."""

    node: NodeName
    given: dict[int, Task] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Past:
    """How often a task failed, and on which nodes."""

    failures: int = 0
    node_failures: int = 0
    excluded_nodes: frozenset[NodeName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTask:
    """A task whose slot has ended; `end` None: it was not started there, and is pending again."""

    number: int
    end: End | None
    is_over: bool


class TaskQueue:
    """Gives tasks to slots, which are named by their claims: by `turn_of`, and failed tasks last."""

    def __init__(self, tasks: Iterable[Task], restart_policy: RestartPolicy) -> None:
        self._tasks = {task.number: task for task in tasks}
        self._durations: Mapping[int, float] = {}
        self._fresh = [turn_of(number, self._durations) for number in self._tasks]
        heapify(self._fresh)
        self._again: deque[int] = deque()
        self._restart_policy = restart_policy
        self._held: dict[int, _AssignedTask] = {}
        self._past: dict[int, _Past] = {}

    def expect(self, durations: Mapping[int, float]) -> None:
        """Give the longest tasks out first from now on. `durations`: expected seconds by task number."""
        self._durations = durations
        self._fresh = [turn_of(number, durations) for _, number in self._fresh]
        heapify(self._fresh)

    @property
    def pending(self) -> int:
        """Number of tasks that wait for a slot."""
        return len(self._fresh) + len(self._again)

    @property
    def out(self) -> int:
        """Number of tasks that slots have."""
        return sum(len(held.given) for held in self._held.values())

    @property
    def running(self) -> int:
        """Number of slots that have a task."""
        return sum(bool(held.given) for held in self._held.values())

    @property
    def may_come_back(self) -> bool:
        """Whether a task that a slot has now may become pending again."""
        restart_policy = self._restart_policy
        return self.out > 0 and bool(restart_policy.retry or restart_policy.requeue or restart_policy.requeue_exits)

    def with_slot(self, claim: int) -> int:
        """Number of tasks that this slot has."""
        return len(self._held[claim].given) if claim in self._held else 0

    def has_started_none(self, claim: int) -> bool:
        """Whether this slot has tasks, and runs none of them."""
        held = self._held.get(claim)
        return held is not None and bool(held.given) and not held.started

    def take(self, claim: int, node: NodeName, most: int) -> list[Task]:
        """Up to `most` tasks for a slot, in order; tasks that failed on its node only if there are no others."""
        held = self._held.setdefault(claim, _AssignedTask(node))
        taken: list[Task] = []
        while self.pending and len(taken) < most:
            taken.append(self._next_for(node))
        held.given |= {task.number: task for task in taken}
        return taken

    def began(self, claim: int, number: int) -> None:
        """Note that a slot started the task, by its log."""
        if claim in self._held:
            self._held[claim].started.add(number)

    def returned(self, claim: int, number: int) -> None:
        """Note that a slot returned the task without starting it."""
        held = self._held.get(claim)
        if held is not None and (task := held.given.pop(number, None)):
            held.started.discard(number)
            self._put_back(task)

    def ended(self, claim: int, number: int, end: End) -> bool | None:
        """Note the end of a task. True: it is over; False: pending once more; None: the slot has no such task."""
        held = self._held.get(claim)
        task = None if held is None else held.given.pop(number, None)
        if held is None or task is None:
            return None
        held.started.discard(number)
        return not self._tries_again(task, held.node, end)

    def has(self, claim: int, number: int) -> bool:
        """Whether the slot has this task."""
        return claim in self._held and number in self._held[claim].given

    def slot_over(self, claim: int, how: End, *, log_is_whole: bool) -> list[LostTask]:
        """Note the end of a slot; returns its tasks without a known end.

        A task that is missing in a complete log was not started; with an incomplete log it may have been.
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
        """Remove and return all pending tasks, so that no more are given out."""
        left = tuple(self._tasks[number] for number in (*sorted(number for _, number in self._fresh), *self._again))
        self._fresh.clear()
        self._again.clear()
        return left

    def _next_for(self, node: NodeName) -> Task:
        if self._fresh:
            return self._tasks[heappop(self._fresh)[1]]
        for at, number in enumerate(islice(self._again, _LOOK_AT)):
            if node not in self._past[number].excluded_nodes:
                del self._again[at]
                return self._tasks[number]
        return self._tasks[self._again.popleft()]

    def _put_back(self, task: Task) -> None:
        if task.number in self._past:
            self._again.appendleft(task.number)
        else:
            heappush(self._fresh, turn_of(task.number, self._durations))

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
    """The end of a task whose slot ended so. A slot that exits has reported all ends, so the task was killed."""
    return Killed(signal=9) if isinstance(how, Exited) else how
