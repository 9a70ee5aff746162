"""Select: from scores to the nodes that are used, by the rule of the policy; with `--same`, of one label's value."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol, assert_never

from clbalance.model import NodeName, Request, Score, Unfit
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import Rule

EQUAL: Final = 1e-9
"""Totals that differ by less are equal: the difference is rounding, not load."""


class Rng(Protocol):
    """Where the order of equals comes from; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


def in_order(
    rule: Rule,
    totals: Sequence[float],
    names: Sequence[NodeName],
    fits: Callable[[int], bool],
    rng: Rng,
    last: NodeName | None,
) -> Iterator[int]:
    """The places in `totals` and `names` of the nodes that fit, in the order in which they are to be used.

    `last`: the node that was used last, for the rule that goes on from there. A node is used at most once per
    request, and charging it changes nobody else's score: so the first n are what n rounds would choose.
    """
    match rule:
        case Rule.BEST:
            return filter(fits, _best_first(totals, names, rng))
        case Rule.TWO_CHOICES:
            return iter(_better_of_two(totals, list(filter(fits, _by_name(range(len(names)), names))), rng))
        case Rule.DRAWN:
            return filter(fits, _drawn(_by_name(range(len(names)), names), rng))
        case Rule.ROTATING:
            places = _by_name(range(len(names)), names)
            first = 0 if last is None else bisect_right(places, last, key=names.__getitem__)
            return filter(fits, places[first:] + places[:first])
        case _:
            assert_never(rule)


def _best_first(totals: Sequence[float], names: Sequence[NodeName], rng: Rng) -> list[int]:
    """Equals in an order that is drawn.

    The draw matters: many users ask at once, and without it they would all take the first of ten idle nodes.
    """
    places = sorted(range(len(totals)), key=totals.__getitem__, reverse=True)
    begin, min_available = 0, -math.inf
    ties: list[tuple[int, int]] = []
    for end, place in enumerate(places):
        if totals[place] <= min_available or not end:
            if end - begin > 1:
                ties.append((begin, end))
            begin, min_available = end, totals[place] - EQUAL
    if len(places) - begin > 1:
        ties.append((begin, len(places)))
    for begin, end in ties:
        places[begin:end] = _drawn(_by_name(places[begin:end], names), rng)
    return places


def best_place(totals: Sequence[float], unfit: float, rng: Rng) -> list[int]:
    """The place of the best in a list that is sorted by name; none where all are `unfit`. Quicker than an order."""
    best = max(totals, default=unfit)
    if best <= unfit:
        return []
    min_available = best - EQUAL
    equals = [place for place, total in enumerate(totals) if total > min_available]
    return equals if len(equals) == 1 else _drawn(equals, rng)[:1]


def _by_name(places: Iterable[int], names: Sequence[NodeName]) -> list[int]:
    """So that a seed means the same in any order of answers."""
    return sorted(places, key=names.__getitem__)


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


# `--same LABEL`: all nodes that are used share one value of a label, or none is used.


def keep_same(
    ranked: Sequence[Score], loads: Sequence[NodeLoad], request: Request
) -> tuple[Sequence[Score], tuple[Unfit, ...]]:
    """The ranked nodes of one value, in their order, and the others with that for a reason.

    The value is the one of which as many as are wanted have the best scores together; where none has enough nodes, the
    one that lacks fewest. For `--pick all` it is the one whose nodes have the best scores together.
    """
    label = request.constraints.same
    value_of = {load.answer.node: load.answer.labels[label] for load in loads}
    by_value: dict[str, list[Score]] = {}
    for one in ranked:
        by_value.setdefault(value_of[one.node], []).append(one)
    # Of equals the first: that is the one whose best node ranks first.
    best = max(by_value, key=lambda value: _worth(by_value[value], request.pick), default="")
    others = (one.node for one in ranked if value_of[one.node] != best)
    return by_value.get(best, []), tuple(_of_another(node, label, value_of[node], best) for node in others)


def _worth(scores: Sequence[Score], pick: int | None) -> tuple[int, float]:
    """How many of those that are wanted it has, and how good these are."""
    wanted = scores[:pick]
    # Rounded, for sums of equals in another order are no difference.
    return (0 if pick is None else len(wanted)), round(sum(one.total for one in wanted), 6)


def _of_another(node: NodeName, label: str, value: str, best: str) -> Unfit:
    return Unfit(node=node, filter="same", reason=f"{label} is not {best}", detail=f"{label} is {value}")
