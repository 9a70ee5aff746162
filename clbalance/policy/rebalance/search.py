"""Move after move: of the source with the highest level, one job after the other, while it gains enough.

Hill climbing, as hbal does. Each chain makes the worst of the nodes that it concerns better, so it ends, and where it
ends nothing is left to be done. Single moves first; where none helps any source, a chain; then single moves again.
"""

from clbalance.model import NodeName
from clbalance.policy.rebalance.chain_search import best_chain
from clbalance.policy.rebalance.levelling import Chain, Levelling
from clbalance.policy.rebalance.move_search import best_move
from clbalance.policy.rebalance.pool import Pool, is_over
from clbalance.policy.rebalance.values import Levels, Move


class Search:
    """Chain after chain, each counted before the next is looked for."""

    def __init__(self, field: Levelling, confirmed: frozenset[NodeName], pool: Pool, levels: Levels) -> None:
        self._field, self._confirmed, self._pool, self._levels = field, confirmed, pool, levels
        self._gain: dict[int, float] = {}
        self._others: dict[int, tuple[int, ...]] = {}

    def moves(self) -> tuple[Move, ...]:
        """All of them, in the order in which they can be carried out."""
        while self._one_by_one() or self._in_chains():
            pass
        return self._told()

    def _left(self) -> int:
        return self._levels.max_moves - len(self._field.order)

    def _sources(self) -> list[NodeName]:
        """The highest first. What the plan itself has put on a node needs no second look."""
        level, mean = self._field.level, self._pool.mean
        loaded = {dst for _, dst in self._field.order}
        mine = (node for node in loaded if is_over(level[node], mean, self._levels))
        return sorted(self._confirmed.union(mine), key=lambda node: (-level[node], node))

    def _one_by_one(self) -> bool:
        """Single moves until none helps; whether there was one."""
        before = len(self._field.order)
        stuck: set[NodeName] = set()
        while self._left() > 0:
            for src in self._sources():
                found = None if src in stuck else best_move(self._field, src)
                if found is not None:
                    self._take(found)
                    break
                stuck.add(src)
            else:
                break
        return len(self._field.order) > before

    def _in_chains(self) -> bool:
        """A chain of the highest source that has one."""
        for src in self._sources() if self._left() > 0 else ():
            found = best_chain(self._field, src, self._left())
            if found is not None:
                self._take(found)
                return True
        return False

    def _take(self, chain: Chain) -> None:
        """Who is newly moved has the gain; of those that were to be moved anyhow each has a part."""
        jobs = [mover.job.job for mover, _ in chain.steps]
        new = [mover.job.job for mover, _ in chain.steps if self._field.is_home(mover)] or jobs
        for job in new:
            self._gain[job] = self._gain.get(job, 0.0) + chain.gain / len(new)
        for mover, dst in chain.steps:
            if dst == mover.job.node:
                self._gain[mover.job.job] = 0.0
        for job in jobs:
            self._others[job] = tuple(other for other in jobs if other != job)
        self._field.take(chain)

    def _told(self) -> tuple[Move, ...]:
        capacity, mean = self._field.capacity, self._pool.mean
        used = {use.node: use.used for use in self._pool.members}
        gone = {mover.job.job for mover, _ in self._field.order}
        moves: list[Move] = []
        for mover, dst in self._field.order:
            job, src = mover.job, mover.job.node
            why = f"{src} {used[src] / capacity[src]:.2f}, mean {mean:.2f}: to {dst} {used[dst] / capacity[dst]:.2f}"
            if others := sorted(gone.intersection(self._others[job.job])):
                why += f", with job {', '.join(map(str, others))}"
            moves.append(Move(job=job.job, name=job.name, src=src, dst=dst, gain=self._gain[job.job], why=why))
            used[src] -= mover.weight
            used[dst] += mover.weight
        return tuple(moves)
