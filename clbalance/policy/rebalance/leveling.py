"""The levels while jobs go from one node to another in thought, and what more steps would gain.

A job may go on from where it was put: in truth it then goes there at once, and one that comes home does not go at all.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.placement.policies import Policy
from clbalance.policy.rebalance.candidates import Mover
from clbalance.policy.rebalance.levels import EPSILON, Pool
from clbalance.policy.rebalance.values import Levels
from clbalance.policy.rebalance.what_if import Step, WhatIf, in_order

_PATIENCE: Final = 4_000
"""How many looks are had at what is more than one job to one node: of large pools the last hundredth costs too much."""
_LOOKS_OF_A_STEP: Final = 10
"""What it costs to put one job where it goes once more, to find another order."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps that begin at a node which has too much. `gain` is of all of them; `order` is where all jobs go by then,
    in an order that leaves room for each when its turn comes.
    """

    src: NodeName
    steps: tuple[Step, ...]
    gain: float
    order: tuple[Step, ...]


class Levelling:
    """The members of a pool with the jobs that may be moved, under what has been decided so far."""

    def __init__(self, pool: Pool, movers: Sequence[Mover], levels: Levels, policy: Policy, now: datetime) -> None:
        self.capacity = {use.node: use.capacity for use in pool.members}
        self.used = {use.node: use.used for use in pool.members}
        self.level = {use.node: use.level for use in pool.members}
        self.movers: dict[NodeName, list[Mover]] = {use.node: [] for use in pool.members}
        for mover in sorted(movers, key=lambda one: -one.job.job):  # of equals the youngest: it has least to lose
            self.movers[mover.job.node].append(mover)
        self.what_if = WhatIf.of(pool, policy, now)
        self.order: tuple[Step, ...] = ()
        self.wait = _PATIENCE
        self.min_gain = levels.min_gain
        self._levels = levels
        self._place = {mover.job.job: mover.job.node for mover in movers}
        self._by_level = self._sorted()
        self._rise = 0.0

    def targets(self, src: NodeName) -> list[tuple[float, NodeName]]:
        """The nodes that have less than the source, and less than `low` where it is set; the lowest first."""
        most = self.level[src] if self._levels.low is None else min(self.level[src], self._levels.low)
        return self._by_level[: bisect_left(self._by_level, (most - EPSILON,))]

    def gain_of_move(self, src: NodeName, dst: NodeName, cpus: float) -> float | None:
        """How much better the worse of two nodes is with so much on the lower one instead; None: not enough."""
        of_then = self.level[src] - cpus / self.capacity[src]
        return self._enough(src, of_then, max(of_then, self.level[dst] + cpus / self.capacity[dst]), 1)

    def gain(self, src: NodeName, put: Mapping[NodeName, float], moves: int) -> float | None:
        """The same of several nodes of which `src` is the worst, with so many cpus more or less on each.

        And the score must have fallen by all that is decided. (Single moves by which it does not are not looked at.)
        """
        of_then = self.level_with(src, put[src])
        gain = self._enough(src, of_then, max(self.level_with(node, cpus) for node, cpus in put.items()), moves)
        return None if gain is None or self._rise + self._rise_by(put) > -EPSILON else gain

    def _enough(self, src: NodeName, of_then: float, worst: float, moves: int) -> float | None:
        """No node is to be worse than the source is then. Where a job is too large for that, the gain must be as large
        as what makes a node over: else it would be on the way for ever.
        """
        gain = self.level[src] - worst
        least = self._levels.min_gain * moves
        if worst > of_then + EPSILON and self._levels.deviation is not None:
            least = max(least, self._levels.deviation)
        # A gain that is just enough should not hang on its last digit.
        return gain if gain > EPSILON and gain >= least - EPSILON / 10 else None

    def level_with(self, node: NodeName, cpus: float) -> float:
        """With so much more on it."""
        return (self.used[node] + cpus) / self.capacity[node]

    def may(self, mover: Mover, dst: NodeName) -> bool:
        """Whether it may go there by where it has been; home it may always go."""
        return dst == mover.job.node or dst not in mover.job.been_on

    def is_home(self, mover: Mover) -> bool:
        """Whether it is where it is in truth."""
        return self._place[mover.job.job] == mover.job.node

    def order_with_one(self, mover: Mover, dst: NodeName) -> tuple[Step, ...] | None:
        """The same as `order_with` for one step, if the node has room as it is by now."""
        if dst != mover.job.node and self.what_if.unfit(mover, dst) is not None:
            return None
        return (*self.order, (mover, dst)) if self.is_home(mover) else self.order_with([(mover, dst)])

    def order_with(self, steps: Sequence[Step]) -> tuple[Step, ...] | None:
        """All that would be moved with these, in an order in which it can be done; None: there is none."""
        if all(self.is_home(mover) for mover, _ in steps):
            tail = in_order(steps, self.what_if)
            if tail is not None:
                return (*self.order, *tail)
        self.wait -= _LOOKS_OF_A_STEP * len(self.order)
        if self.wait < 0:
            return None
        dst_of = {mover.job.job: dst for mover, dst in steps}
        wanted = [(mover, dst_of.pop(mover.job.job, dst)) for mover, dst in self.order]
        wanted += [(mover, dst) for mover, dst in steps if mover.job.job in dst_of]
        away = [step for step in wanted if step[1] != step[0].job.node]
        return in_order(away, self.what_if.as_measured())

    def take(self, chain: Chain) -> None:
        """From now on it counts."""
        for mover, dst in chain.steps:
            self._put(mover, dst)
        self._by_level = self._sorted()
        if chain.order[: len(self.order)] != self.order:
            self.what_if, self.order = self.what_if.as_measured(), ()
        for mover, dst in chain.order[len(self.order) :]:
            self.what_if.carry(mover, dst)
        self.order = chain.order

    def _put(self, mover: Mover, dst: NodeName) -> None:
        src = self._place[mover.job.job]
        put = {src: -mover.weight, dst: mover.weight}
        self._rise += self._rise_by(put)
        self.movers[src].remove(mover)
        self.movers[dst].append(mover)
        self._place[mover.job.job] = dst
        for node, cpus in put.items():
            self.used[node] += cpus
            self.level[node] = self.used[node] / self.capacity[node]

    def _rise_by(self, put: Mapping[NodeName, float]) -> float:
        """Of the sum of squares, which rises and falls with the score, for the mean stays."""
        return sum([cpus * (2.0 * self.used[node] + cpus) / self.capacity[node] for node, cpus in put.items()])

    def _sorted(self) -> list[tuple[float, NodeName]]:
        return sorted((level, node) for node, level in self.level.items())
