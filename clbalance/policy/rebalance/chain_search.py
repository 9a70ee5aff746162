"""Steps that only together help a source: a job goes to a node, from which another goes on, and so on.

One step alone is also looked at here: one for which others must go first, or by which the score rises, if not by all.

At each step a job leaves the node that is highest by then: the source again, or the one where something was just put.
Exchanges are chains that come back. In small pools this finds nearly all there is; in large ones patience ends it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.policy.rebalance.carry_order import Step
from clbalance.policy.rebalance.levelling import Chain, Levelling
from clbalance.policy.rebalance.movers import Turn
from clbalance.policy.rebalance.pool import EPSILON

_LENGTHS: Final = (1, 2, 3, 4)
_MOST_TARGETS: Final = 6
"""So many of the lowest nodes are tried, and the source."""


def best_chain(field: Levelling, src: NodeName, left: int) -> Chain | None:
    """The best of the shortest, with nobody whose turn comes later if it can be; at most `left` jobs newly moved."""
    targets = [node for _, node in field.targets(src)[:_MOST_TARGETS]]
    for turn in Turn:
        if all(mover.turn > turn for mover in field.movers[src]):
            continue
        for length in _LENGTHS:
            best: Chain | None = None
            for steps, put in _Walk(field, src, targets, turn).steps_of(length):
                new = sum(1 for mover, _ in steps if field.is_home(mover))
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
    """All chains of the jobs whose turn it is."""

    field: Levelling
    src: NodeName
    targets: list[NodeName]
    turn: Turn

    def steps_of(self, length: int) -> Iterator[tuple[tuple[Step, ...], Mapping[NodeName, float]]]:
        """So many steps, and what they put on each node, in cpus."""
        yield from self._from(self.src, length, (), {self.src: 0.0})

    def _from(
        self, node: NodeName, length: int, steps: tuple[Step, ...], put: Mapping[NodeName, float]
    ) -> Iterator[tuple[tuple[Step, ...], Mapping[NodeName, float]]]:
        gone = {mover.job.job for mover, _ in steps}
        for mover in self.field.movers[node]:
            if mover.turn > self.turn or mover.weight <= EPSILON or mover.job.job in gone:
                continue
            for dst in (*self.targets, self.src):
                self.field.patience -= 1
                if self.field.patience < 0:
                    return
                if dst == node or not self.field.may(mover, dst):
                    continue
                there = put.get(dst, 0.0) + mover.weight
                if length == 1 and self.field.level_with(dst, there) >= self.field.level[self.src]:
                    continue  # no gain
                then = {**put, node: put[node] - mover.weight, dst: there}
                if length == 1:
                    yield (*steps, (mover, dst)), then
                else:
                    yield from self._from(self._highest(then), length - 1, (*steps, (mover, dst)), then)

    def _highest(self, put: Mapping[NodeName, float]) -> NodeName:
        return max(put, key=lambda node: (self.field.level_with(node, put[node]), node))
