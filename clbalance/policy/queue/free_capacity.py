"""Free capacity for queued jobs with different policies; what one job takes is taken for all.

The caller's running jobs are leases here. Releasing one gives back its allocation and its share of the load, so the
free capacity after the end of jobs can be computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy as shallow_copy
from dataclasses import replace
from datetime import datetime
from typing import Self, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Lease, Measured, Memory, NodeName, Request, RunQueue, Snapshot, Unknown
from clbalance.policy.allocations import add_up
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.cluster_state import ClusterState, JobAllocations


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequest(Request):
    """A request with the name of the policy that places it."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The holding of a running job: all leases with its key."""

    key: str


Taken: TypeAlias = JobAllocations | Leased


class _SameDraws:
    """A `select.Rng` that repeats the same numbers after each `again`."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._drawn: list[float] = []
        self._used = 0

    def again(self) -> Self:
        """Start again from the first number."""
        self._used = 0
        return self

    def random(self) -> float:
        if self._used == len(self._drawn):
            self._drawn.append(self._rng.random())
        self._used += 1
        return self._drawn[self._used - 1]


class QueueCapacity:
    """`queues.FreeCapacity` for requests of several policies.

    Ties are drawn alike each time, so that of two equal requests the second never fits where the first did not.
    """

    def __init__(self, snapshot: Snapshot, policies: Mapping[str, Policy], now: datetime, rng: Rng) -> None:
        self._snapshot, self._policies, self._now = snapshot, policies, now
        self._answers = list(snapshot.answers)
        self._places = _places_of_leases(snapshot)
        self._draws = _SameDraws(rng)
        self._held: list[JobAllocations] = []
        self._boards: dict[str, ClusterState] = {}

    def place(self, request: Request) -> Taken | None:
        by = _policy_of(request)
        held = self._state(by).place(request, self._draws.again())
        if held is not None:
            self._held.append(held)
            for other in self._boards.keys() - {by}:
                self._boards[other].hold(held)
        return held

    def fits(self, request: Request) -> bool:
        return self._state(_policy_of(request)).count_fitting(request) >= (request.pick or 1)

    def release(self, held: Taken) -> None:
        if isinstance(held, Leased):
            for at in self._places.get(held.key, ()):
                self._end(at, held.key)
            return
        self._held.remove(held)
        for state in self._boards.values():
            state.release(held)

    def hold(self, held: Taken) -> None:
        assert isinstance(held, JobAllocations), "only what was placed is tried out"
        self._held.append(held)
        for state in self._boards.values():
            state.hold(held)

    def copy(self) -> Self:
        other = shallow_copy(self)
        other._become_separate()  # noqa: SLF001 - it is one of us
        return other

    def charged(self) -> Snapshot:
        """The nodes with all holdings charged."""
        if self._boards:
            return replace(self._snapshot, answers=next(iter(self._boards.values())).all_answers)
        return self._uncharged()

    def _uncharged(self) -> Snapshot:
        return replace(self._snapshot, answers=tuple(self._answers))

    def _become_separate(self) -> None:
        self._answers, self._held = self._answers.copy(), self._held.copy()
        self._boards = {name: state.copy() for name, state in self._boards.items()}

    def _end(self, at: int, key: str) -> None:
        answer = self._answers[at] = without_lease(self._answers[at], key)
        if isinstance(answer, Measured):
            for state in self._boards.values():
                state.read_anew(answer.node, answer.reading)

    def _state(self, by: str) -> ClusterState:
        state = self._boards.get(by)
        if state is None:
            state = self._boards[by] = ClusterState(self._uncharged(), self._policies[by], self._now)
            for held in self._held:
                state.hold(held)
        return state


def _places_of_leases(snapshot: Snapshot) -> Mapping[str, Sequence[int]]:
    """For each key the positions of the answers that have a lease of it."""
    places: dict[str, list[int]] = {}
    for at, answer in enumerate(snapshot.answers):
        if isinstance(answer, Measured) and not isinstance(answer.reading.leases, Unknown):
            for key in {lease.key for lease in answer.reading.leases}:
                places.setdefault(key, []).append(at)
    return places


def without_lease(answer: Answer, key: str) -> Answer:
    """The node as it will be after the end of the job `key`, when the load no longer shows it."""
    if not isinstance(answer, Measured) or isinstance(answer.reading.leases, Unknown):
        return answer
    gone = [lease for lease in answer.reading.leases if lease.key == key]
    if not gone:
        return answer
    reading = answer.reading
    allocations = add_up(list(_allocations(gone)), reading.uptime_s)
    queue, memory = reading.run_queue, reading.memory
    if isinstance(queue, RunQueue):
        queue = replace(queue, r1m=max(0.0, queue.r1m - allocations.reflected_cpus))
    if isinstance(memory, Memory):
        free = min(memory.total_bytes, memory.available_bytes + int(allocations.reflected_mem_bytes))
        memory = replace(memory, available_bytes=free)
    left = tuple(lease for lease in answer.reading.leases if lease.key != key)
    return replace(answer, reading=replace(reading, leases=left, run_queue=queue, memory=memory))


def _allocations(leases: Iterable[Lease]) -> Iterable[Allocation]:
    return (lease.allocation for lease in leases if isinstance(lease.allocation, Allocation))


def _policy_of(request: Request) -> str:
    assert isinstance(request, OwnRequest), "made by `queue.to_start`"
    return request.by


def only_on(request: Request, candidates: Iterable[NodeName], snapshot: Snapshot, by: str) -> OwnRequest:
    """The request with all nodes excluded but its candidates, to be placed by policy `by`."""
    others = frozenset(answer.node for answer in snapshot.answers).difference(candidates)
    values = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    return OwnRequest(**(values | {"excluded": request.excluded | others, "by": by}))
