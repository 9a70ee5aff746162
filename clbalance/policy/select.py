"""From scores to an order, and from the order to the nodes that are used."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from clbalance.model import NodeName, Score

EQUAL = 1e-9
"""Totals that differ by less are equal: the difference is rounding, not load."""


class Rng(Protocol):
    """Where the order of equals comes from; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


def rank_nodes(scores: Iterable[Score], rng: Rng) -> list[Score]:
    """Best first, equals in an order drawn from `rng`, whatever order they came in.

    The draw matters: many users ask at once, and without it they would all take the first of ten idle nodes.
    """
    ranked: list[Score] = []
    best_first = sorted(scores, key=lambda score: (-score.total, score.node))
    for equals in _equals(best_first):
        ranked += equals if len(equals) == 1 else _drawn(equals, rng)
    return ranked


def select_nodes(ranked: Sequence[Score], pick: int | None) -> tuple[NodeName, ...]:
    """The best `pick` of them, or all.

    A node is chosen at most once per request, and charging it changes nobody else's score: so these are the
    nodes that `pick` rounds of score, select, charge would choose, without the rounds.
    """
    return tuple(score.node for score in ranked[:pick])


def _drawn(equals: Sequence[Score], rng: Rng) -> list[Score]:
    draws = [(rng.random(), score) for score in equals]
    return [score for _, score in sorted(draws, key=lambda draw: draw[0])]


def _equals(best_first: Iterable[Score]) -> Iterator[list[Score]]:
    run: list[Score] = []
    for score in best_first:
        if run and run[0].total - score.total >= EQUAL:
            yield run
            run = []
        run.append(score)
    if run:
        yield run
