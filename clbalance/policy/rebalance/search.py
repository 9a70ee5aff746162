"""The search for migrations: single moves that gain enough, and chains of moves that only help together. Pure.

Hill climbing, as in hbal. Each chain lowers the highest level of the nodes that it touches, so the search ends. Single
moves come first; if none helps any source, one chain; then single moves again.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.rebalance.candidates import MigrationCandidate, MigrationPriority
from clbalance.policy.rebalance.leveling import Balancing, Chain
from clbalance.policy.rebalance.levels import EPSILON, Pool, is_over
from clbalance.policy.rebalance.values import BalanceSettings, PlannedMigration
from clbalance.policy.rebalance.what_if import Step


class Search:
    """Finds chains one after another; each is added to the plan before the search for the next."""

    def __init__(self, field: Balancing, confirmed: frozenset[NodeName], pool: Pool, settings: BalanceSettings) -> None:
        self._field, self._confirmed, self._pool, self._settings = field, confirmed, pool, settings
        self._gain: dict[int, float] = {}
        self._others: dict[int, tuple[int, ...]] = {}

    def migrations(self) -> tuple[PlannedMigration, ...]:
        """All planned migrations, in a feasible order."""
        while self._one_by_one() or self._in_chains():
            pass
        return self._description()

    def _left(self) -> int:
        return self._settings.max_moves - len(self._field.order)

    def _sources(self) -> list[NodeName]:
        """Nodes to relieve, highest first: confirmed ones, and those that the plan itself overloaded."""
        level, mean = self._field.level, self._pool.mean
        loaded = {dst for _, dst in self._field.order}
        mine = (node for node in loaded if is_over(level[node], mean, self._settings))
        return sorted(self._confirmed.union(mine), key=lambda node: (-level[node], node))

    def _one_by_one(self) -> bool:
        """Plan single moves until none helps; returns whether there was one."""
        before = len(self._field.order)
        stuck: set[NodeName] = set()
        while self._left() > 0:
            for src in self._sources():
                found = None if src in stuck else best_migration(self._field, src)
                if found is not None:
                    self._take(found)
                    break
                stuck.add(src)
            else:
                break
        return len(self._field.order) > before

    def _in_chains(self) -> bool:
        """Plan one chain, from the highest source that has one; returns whether there was one."""
        for src in self._sources() if self._left() > 0 else ():
            found = best_chain(self._field, src, self._left())
            if found is not None:
                self._take(found)
                return True
        return False

    def _take(self, chain: Chain) -> None:
        """Add a chain. Its gain is shared by the newly moved jobs, or by all its jobs if all were moved before."""
        jobs = [candidate.job.job for candidate, _ in chain.steps]
        new = [candidate.job.job for candidate, _ in chain.steps if self._field.is_home(candidate)] or jobs
        for job in new:
            self._gain[job] = self._gain.get(job, 0.0) + chain.gain / len(new)
        for candidate, dst in chain.steps:
            if dst == candidate.job.node:
                self._gain[candidate.job.job] = 0.0
        for job in jobs:
            self._others[job] = tuple(other for other in jobs if other != job)
        self._field.take(chain)

    def _description(self) -> tuple[PlannedMigration, ...]:
        capacity, mean = self._field.capacity, self._pool.mean
        used = {use.node: use.used for use in self._pool.members}
        gone = {candidate.job.job for candidate, _ in self._field.order}
        moves: list[PlannedMigration] = []
        for candidate, dst in self._field.order:
            job, src = candidate.job, candidate.job.node
            loads = f"{src} {used[src] / capacity[src]:.2f}, {dst} {used[dst] / capacity[dst]:.2f}"
            reason = f"load per cpu: {loads}, mean {mean:.2f}"
            if others := sorted(gone.intersection(self._others[job.job])):
                reason += f"; together with job {', '.join(map(str, others))}"
            moves.append(
                PlannedMigration(job=job.job, name=job.name, src=src, dst=dst, gain=self._gain[job.job], reason=reason)
            )
            used[src] -= candidate.weight
            used[dst] += candidate.weight
        return tuple(moves)


# -- the best single move
#
# Jobs of a lower priority class come first: as long as one of them gains enough, no higher class is tried.


def best_migration(field: Balancing, src: NodeName) -> Chain | None:
    """The move that lowers the score most, in the first class with one; of equals the youngest job, lowest target."""
    targets = field.targets(src)
    for turn in MigrationPriority if targets else ():
        candidates = [
            candidate for candidate in field.movers[src] if candidate.priority is turn and candidate.weight > EPSILON
        ]
        if candidates and (found := _best_of(field, src, candidates, targets)):
            return found
    return None


def _best_of(
    field: Balancing, src: NodeName, candidates: list[MigrationCandidate], targets: list[tuple[float, NodeName]]
) -> Chain | None:
    best: Chain | None = None
    most = 0.0
    of, have, capacity = field.level[src], field.capacity[src], field.capacity
    for candidate in candidates:
        weight = candidate.weight
        if weight / have < field.min_gain - EPSILON:  # the source's level cannot fall by more than that
            continue
        for to, dst in targets:
            # Upper bound of the fall of the sum of squares: targets are sorted, so no later one can do better.
            at_most = weight * (2.0 * (of - to) - weight / have)
            if at_most <= most + EPSILON:
                break
            fall = at_most - weight * weight / capacity[dst]
            if fall <= most + EPSILON or (gain := field.gain_of_migration(src, dst, weight)) is None:
                continue
            order = field.order_with_one(candidate, dst) if field.may(candidate, dst) else None
            if order is not None:
                best, most = Chain(src, ((candidate, dst),), gain, order), fall
    return best


# -- chains: a job goes to a node, from which another job goes on, and so on
#
# Single steps are tried here too: those that need an order in which other jobs go first, and those that raise the
# score by themselves, but not together with the steps decided before.
#
# At each step a job leaves the node that is highest at that point: the source again, or the last target. Exchanges are
# chains that return to the source. In small pools this finds nearly every gain; in large ones the budget ends it.

_LENGTHS: Final = (1, 2, 3, 4)
_MOST_TARGETS: Final = 6
"""Number of lowest nodes to try as targets, besides the source."""


def best_chain(field: Balancing, src: NodeName, left: int) -> Chain | None:
    """The best of the shortest chains, with the lowest priority classes possible; at most `left` newly moved jobs."""
    targets = [node for _, node in field.targets(src)[:_MOST_TARGETS]]
    for turn in MigrationPriority:
        if all(candidate.priority > turn for candidate in field.movers[src]):
            continue
        for length in _LENGTHS:
            best: Chain | None = None
            for steps, put in _Walk(field, src, targets, turn).steps_of(length):
                new = sum(1 for candidate, _ in steps if field.is_home(candidate))
                gain = field.gain(src, put, max(1, new)) if new <= left else None
                if gain is None or (best is not None and gain <= best.gain + EPSILON):
                    continue
                order = field.order_with(steps)
                if order is not None:
                    best = Chain(src, steps, gain, order)
            if best is not None:
                return best
    return None


@dataclass(frozen=True, slots=True)
class _Walk:
    """Walks over all chains of jobs up to a priority class."""

    field: Balancing
    src: NodeName
    targets: list[NodeName]
    turn: MigrationPriority

    def steps_of(self, length: int) -> Iterator[tuple[tuple[Step, ...], Mapping[NodeName, float]]]:
        """All chains of `length` steps, each with the cpus that it adds to each node."""
        yield from self._from(self.src, length, (), {self.src: 0.0})

    def _from(
        self, node: NodeName, length: int, steps: tuple[Step, ...], put: Mapping[NodeName, float]
    ) -> Iterator[tuple[tuple[Step, ...], Mapping[NodeName, float]]]:
        gone = {candidate.job.job for candidate, _ in steps}
        for candidate in self.field.movers[node]:
            if candidate.priority > self.turn or candidate.weight <= EPSILON or candidate.job.job in gone:
                continue
            for dst in (*self.targets, self.src):
                self.field.wait -= 1
                if self.field.wait < 0:
                    return
                if dst == node or not self.field.may(candidate, dst):
                    continue
                there = put.get(dst, 0.0) + candidate.weight
                if length == 1 and self.field.level_with(dst, there) >= self.field.level[self.src]:
                    continue  # no gain
                then = {**put, node: put[node] - candidate.weight, dst: there}
                if length == 1:
                    yield (*steps, (candidate, dst)), then
                else:
                    yield from self._from(self._highest(then), length - 1, (*steps, (candidate, dst)), then)

    def _highest(self, put: Mapping[NodeName, float]) -> NodeName:
        return max(put, key=lambda node: (self.field.level_with(node, put[node]), node))
