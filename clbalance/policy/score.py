"""How good a node is for a request: terms of 0…100 points, higher is better, and their weighted mean.

A term that is not known counts as the node's lowest known one: what is not known never speaks for a node.
"""

from collections.abc import Sequence
from typing import TypeAlias

from clbalance.model import Request, Score, Term, Unknown
from clbalance.policy.effective import Load
from clbalance.policy.scorer import Scorer

Weighed: TypeAlias = Sequence[tuple[Scorer, float]]
"""Of `scorers_of`."""


def score(load: Load, request: Request, weighed: Weighed) -> Score:
    """One node's, with what each term was read from."""
    values = [scorer.read(load, request) for scorer, _ in weighed]
    all_points = _points(values, weighed)
    terms = [
        Term(name=scorer.name, points=points, weight=weight, told=_told(scorer, load, request, value))
        for (scorer, weight), value, points in zip(weighed, values, all_points, strict=True)
    ]
    return Score(node=load.answer.node, total=_mean(all_points, weighed), terms=tuple(terms))


def total(load: Load, request: Request, weighed: Weighed) -> float:
    """What `score` comes to, without the words."""
    return _mean(_points([scorer.read(load, request) for scorer, _ in weighed], weighed), weighed)


def _points(values: Sequence[float | Unknown], weighed: Weighed) -> list[float]:
    known = [
        scorer.points(value)
        for (scorer, _), value in zip(weighed, values, strict=True)
        if not isinstance(value, Unknown)
    ]
    if len(known) == len(values):
        return known
    lowest, rest = min(known, default=0.0), iter(known)
    return [lowest if isinstance(value, Unknown) else next(rest) for value in values]


def _mean(all_points: Sequence[float], weighed: Weighed) -> float:
    points = weights = 0.0
    for (_, weight), of_term in zip(weighed, all_points, strict=True):
        points += of_term * weight
        weights += weight
    return min(100.0, points / weights)  # rounding may carry a mean of hundreds past 100


def _told(scorer: Scorer, load: Load, request: Request, value: float | Unknown) -> str:
    if isinstance(value, Unknown):
        return f"unknown, counted as its lowest: {value.why}"
    return scorer.told(load, request, value)
