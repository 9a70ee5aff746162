"""Select: from scores to the nodes to use, by the policy's rule, and for `--same` by one label value. Pure."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Protocol, assert_never

from clbalance.model import NodeName, Request, Score, Unfit
from clbalance.policy.placement.gpu_rank import SHARED_FIRST
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import Rule

EQUAL: Final = 1e-9
"""Totals that differ by less count as equal: the difference is rounding, not load."""


class Rng(Protocol):
    """Source of the order among equals; `random.Random` is one."""

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
    """Positions in `totals` and `names` of the nodes that fit, in the order of use.

    `last`: the node used last, for the rotating rule. A node is used at most once per request, and charging it does
    not change the score of other nodes, so the first n are the choice of n rounds. Nodes with a head start come first
    by every rule.
    """
    if rule is Rule.BEST or max(totals, default=0.0) < SHARED_FIRST:
        return _by_rule(rule, totals, names, fits, rng, last)

    def before(at: int) -> bool:
        return totals[at] >= SHARED_FIRST and fits(at)

    def after(at: int) -> bool:
        return totals[at] < SHARED_FIRST and fits(at)

    return chain.from_iterable(_by_rule(rule, totals, names, some, rng, last) for some in (before, after))


def _by_rule(
    rule: Rule,
    totals: Sequence[float],
    names: Sequence[NodeName],
    fits: Callable[[int], bool],
    rng: Rng,
    last: NodeName | None,
) -> Iterator[int]:
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
    """Best total first; equals in random order.

    The random order matters: without it, users who place at the same time would all take the first of ten idle nodes.
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
    """The position of the best total, as a list; empty if all are `unfit`. Needs sorted names. Quicker than sorting."""
    best = max(totals, default=unfit)
    if best <= unfit:
        return []
    min_available = best - EQUAL
    equals = [place for place, total in enumerate(totals) if total > min_available]
    return equals if len(equals) == 1 else _drawn(equals, rng)[:1]


def _by_name(places: Iterable[int], names: Sequence[NodeName]) -> list[int]:
    """Sorted by name, so that a seed gives the same result for any order of answers."""
    return sorted(places, key=names.__getitem__)


def _better_of_two(totals: Sequence[float], fitting: list[int], rng: Rng) -> list[int]:
    """The power of two choices (Mitzenmacher 2001): draw two and take the better; the other one can be drawn again."""
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


# -- `--same LABEL`: all nodes of a job have the same value of the label


def keep_same(
    ranked: Sequence[Score], loads: Sequence[NodeLoad], request: Request
) -> tuple[Sequence[Score], tuple[Unfit, ...]]:
    """The ranked nodes with the best label value, in order, and the others as unfit.

    The best value has enough nodes, and the highest sum of scores of the nodes to use; if none has enough nodes, it is
    the one that lacks fewest. For `--pick all` it is the value with the highest sum of all its scores.
    """
    label = request.constraints.same
    value_of = {load.answer.node: load.answer.labels[label] for load in loads}
    by_value: dict[str, list[Score]] = {}
    for one in ranked:
        by_value.setdefault(value_of[one.node], []).append(one)
    # Among equals the first: its best node ranks first.
    best = max(by_value, key=lambda value: _worth(by_value[value], request.pick), default="")
    others = (one.node for one in ranked if value_of[one.node] != best)
    return by_value.get(best, []), tuple(_of_another(node, label, value_of[node], best) for node in others)


def _worth(scores: Sequence[Score], pick: int | None) -> tuple[int, float]:
    """Number of wanted nodes that it has (0 for `--pick all`), and the sum of their scores."""
    wanted = scores[:pick]
    # Rounded, because sums of the same numbers in another order may differ a little.
    return (0 if pick is None else len(wanted)), round(sum(one.total for one in wanted), 6)


def _of_another(node: NodeName, label: str, value: str, best: str) -> Unfit:
    return Unfit(node=node, filter="same", reason=f"{label} is not {best}", detail=f"{label} is {value}")
