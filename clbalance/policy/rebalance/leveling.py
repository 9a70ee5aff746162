"""The levels of a pool while the plan grows, and the gain of further steps.

The search may chain moves of one job; only its final target is executed, and a job that returns home does not migrate.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.placement.policies import Policy
from clbalance.policy.rebalance.candidates import MigrationCandidate
from clbalance.policy.rebalance.levels import EPSILON, Pool
from clbalance.policy.rebalance.values import BalanceSettings
from clbalance.policy.rebalance.what_if import Step, WhatIf, migration_order

_PATIENCE: Final = 4_000
"""Budget of search steps for everything beyond single moves: in large pools the last hundredth costs too much."""
_LOOKS_OF_A_STEP: Final = 10
"""Cost in that budget of placing one job again to find another order."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps that begin at an overloaded node. `gain` is that of all steps; `order` holds all planned jobs with their
    targets, in an order in which each finds room.
    """

    src: NodeName
    steps: tuple[Step, ...]
    gain: float
    order: tuple[Step, ...]


class Balancing:
    """The members of a pool and the jobs that may migrate, with the steps decided so far."""

    def __init__(
        self,
        pool: Pool,
        candidates: Sequence[MigrationCandidate],
        settings: BalanceSettings,
        policy: Policy,
        now: datetime,
    ) -> None:
        self.capacity = {use.node: use.capacity for use in pool.members}
        self.used = {use.node: use.used for use in pool.members}
        self.level = {use.node: use.level for use in pool.members}
        self.movers: dict[NodeName, list[MigrationCandidate]] = {use.node: [] for use in pool.members}
        for candidate in sorted(
            candidates, key=lambda one: -one.job.job
        ):  # among equals the youngest job first: it has least to lose
            self.movers[candidate.job.node].append(candidate)
        self.what_if = WhatIf.of(pool, policy, now)
        self.order: tuple[Step, ...] = ()
        self.wait = _PATIENCE
        self.min_gain = settings.min_gain
        self._settings = settings
        self._place = {candidate.job.job: candidate.job.node for candidate in candidates}
        self._by_level = self._sorted()
        self._rise = 0.0

    def targets(self, src: NodeName) -> list[tuple[float, NodeName]]:
        """The nodes below the source's level, and below `low` if that is set; lowest first."""
        most = self.level[src] if self._settings.low is None else min(self.level[src], self._settings.low)
        return self._by_level[: bisect_left(self._by_level, (most - EPSILON,))]

    def gain_of_migration(self, src: NodeName, dst: NodeName, cpus: float) -> float | None:
        """By how much the higher of the two levels falls if `cpus` go from `src` to `dst`; None: not enough."""
        of_then = self.level[src] - cpus / self.capacity[src]
        return self._enough(src, of_then, max(of_then, self.level[dst] + cpus / self.capacity[dst]), 1)

    def gain(self, src: NodeName, put: Mapping[NodeName, float], moves: int) -> float | None:
        """The same for several nodes, of which `src` has the highest level; `put`: cpus added to each.

        The score must also fall by all decided steps together. (Single moves that do not lower it are never tried.)
        """
        of_then = self.level_with(src, put[src])
        gain = self._enough(src, of_then, max(self.level_with(node, cpus) for node, cpus in put.items()), moves)
        return None if gain is None or self._rise + self._rise_by(put) > -EPSILON else gain

    def _enough(self, src: NodeName, of_then: float, worst: float, moves: int) -> float | None:
        """The gain; None: too small. If a target ends up above the source, because the job is large, the gain must
        reach `deviation`: else the job would migrate again and again.
        """
        gain = self.level[src] - worst
        least = self._settings.min_gain * moves
        if worst > of_then + EPSILON and self._settings.deviation is not None:
            least = max(least, self._settings.deviation)
        # Rounding must not decide about a gain that is just enough.
        return gain if gain > EPSILON and gain >= least - EPSILON / 10 else None

    def level_with(self, node: NodeName, cpus: float) -> float:
        """The node's level with `cpus` more on it."""
        return (self.used[node] + cpus) / self.capacity[node]

    def may(self, candidate: MigrationCandidate, dst: NodeName) -> bool:
        """Whether it may go there: not to nodes of its earlier attempts, but always to where it runs now."""
        return dst == candidate.job.node or dst not in candidate.job.earlier_nodes

    def is_home(self, candidate: MigrationCandidate) -> bool:
        """Whether the plan leaves it on the node where it runs."""
        return self._place[candidate.job.job] == candidate.job.node

    def order_with_one(self, candidate: MigrationCandidate, dst: NodeName) -> tuple[Step, ...] | None:
        """The same as `order_with` for one step; None if the node has no room by the plan so far."""
        if dst != candidate.job.node and self.what_if.unfit(candidate, dst) is not None:
            return None
        return (*self.order, (candidate, dst)) if self.is_home(candidate) else self.order_with([(candidate, dst)])

    def order_with(self, steps: Sequence[Step]) -> tuple[Step, ...] | None:
        """All planned moves with `steps` added, in a feasible order; None: none was found."""
        if all(self.is_home(candidate) for candidate, _ in steps):
            tail = migration_order(steps, self.what_if)
            if tail is not None:
                return (*self.order, *tail)
        self.wait -= _LOOKS_OF_A_STEP * len(self.order)
        if self.wait < 0:
            return None
        dst_of = {candidate.job.job: dst for candidate, dst in steps}
        wanted = [(candidate, dst_of.pop(candidate.job.job, dst)) for candidate, dst in self.order]
        wanted += [(candidate, dst) for candidate, dst in steps if candidate.job.job in dst_of]
        away = [step for step in wanted if step[1] != step[0].job.node]
        return migration_order(away, self.what_if.as_measured())

    def take(self, chain: Chain) -> None:
        """Add the chain to the plan."""
        for candidate, dst in chain.steps:
            self._put(candidate, dst)
        self._by_level = self._sorted()
        if chain.order[: len(self.order)] != self.order:
            self.what_if, self.order = self.what_if.as_measured(), ()
        for candidate, dst in chain.order[len(self.order) :]:
            self.what_if.carry(candidate, dst)
        self.order = chain.order

    def _put(self, candidate: MigrationCandidate, dst: NodeName) -> None:
        src = self._place[candidate.job.job]
        put = {src: -candidate.weight, dst: candidate.weight}
        self._rise += self._rise_by(put)
        self.movers[src].remove(candidate)
        self.movers[dst].append(candidate)
        self._place[candidate.job.job] = dst
        for node, cpus in put.items():
            self.used[node] += cpus
            self.level[node] = self.used[node] / self.capacity[node]

    def _rise_by(self, put: Mapping[NodeName, float]) -> float:
        """Change of the sum of squares, which rises and falls with the score because the mean stays the same."""
        return sum([cpus * (2.0 * self.used[node] + cpus) / self.capacity[node] for node, cpus in put.items()])

    def _sorted(self) -> list[tuple[float, NodeName]]:
        return sorted((level, node) for node, level in self.level.items())
