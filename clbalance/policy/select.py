"""From scores to the nodes that are used, by the rule of the policy.

Nodes are known by their place in a list that is sorted by name, so that a seed means the same in any order of answers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, assert_never

from clbalance.policy.policies import Rule

EQUAL: Final = 1e-9
"""Totals that differ by less are equal: the difference is rounding, not load."""


class Rng(Protocol):
    """Where the order of equals comes from; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


def in_order(rule: Rule, totals: Sequence[float], fits: Callable[[int], bool], rng: Rng, first: int) -> Iterator[int]:
    """The places of the nodes that fit, in the order in which they are to be used.

    `first`: the place after that of the node that was used last, for the rule that goes on from there. A node is used
    at most once per request, and charging it changes nobody else's score: the first n are those of n rounds.
    """
    match rule:
        case Rule.BEST:
            return filter(fits, _best_first(totals, rng))
        case Rule.TWO_CHOICES:
            return iter(_better_of_two(totals, list(filter(fits, range(len(totals)))), rng))
        case Rule.DRAWN:
            return filter(fits, _drawn(range(len(totals)), rng))
        case Rule.ROTATING:
            return filter(fits, (place % len(totals) for place in range(first, first + len(totals))))
        case _:
            assert_never(rule)


def _best_first(totals: Sequence[float], rng: Rng) -> list[int]:
    """Equals in an order that is drawn.

    The draw matters: many users ask at once, and without it they would all take the first of ten idle nodes.
    """
    places = sorted(range(len(totals)), key=totals.__getitem__, reverse=True)  # stable: equals by name
    begin, floor = 0, math.inf
    for end in range(len(places) + 1):
        if end < len(places) and totals[places[end]] > floor:
            continue
        if end > begin + 1:
            # By name before the draw: totals that differ by rounding alone have no order.
            places[begin:end] = _drawn(sorted(places[begin:end]), rng)
        if end < len(places):
            begin, floor = end, totals[places[end]] - EQUAL
    return places


def _better_of_two(totals: Sequence[float], fitting: list[int], rng: Rng) -> list[int]:
    """The power of two choices (Mitzenmacher 2001): of two that are drawn, the better; the other stays in the draw."""
    ordered: list[int] = []
    while len(fitting) > 1:
        one = int(rng.random() * len(fitting))
        other = (one + 1 + int(rng.random() * (len(fitting) - 1))) % len(fitting)
        better = one if totals[fitting[one]] >= totals[fitting[other]] else other
        ordered.append(fitting.pop(better))
    return ordered + fitting


def _drawn(places: Sequence[int], rng: Rng) -> list[int]:
    draws = [(rng.random(), place) for place in places]
    return [place for _, place in sorted(draws)]
