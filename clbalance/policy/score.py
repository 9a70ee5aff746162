"""How good a node is for a request: terms of 0…100 points, higher is better, and their weighted mean.

Enters: a load. Leaves: a `Score` that tells what each term was read from. A term that is not known counts as
the node's lowest known one: what is not known never speaks for a node.
"""

from collections.abc import Iterable, Sequence

from clbalance.model import Request, Score, Term, Unknown
from clbalance.policy.effective import Load
from clbalance.policy.policies import Weights
from clbalance.policy.preferences import preference_scorers
from clbalance.policy.scorers import SCORERS, Scorer


def score_nodes(loads: Iterable[Load], request: Request, weights: Weights) -> list[Score]:
    """The score of each, in the same order."""
    scorers = tuple((scorer, scorer.weight(weights)) for scorer in (*SCORERS, *preference_scorers(request)))
    total = sum(weight for _, weight in scorers)
    return [_score(load, request, scorers, total) for load in loads]


def _score(load: Load, request: Request, scorers: Sequence[tuple[Scorer, float]], share: float) -> Score:
    values = [scorer.read(load, request) for scorer, _ in scorers]
    # The run queue and the memory of a `Load` are known, so there is always a lowest.
    lowest = min(
        scorer.points(value)
        for (scorer, _), value in zip(scorers, values, strict=True)
        if not isinstance(value, Unknown)
    )
    terms: list[Term] = []
    total = 0.0
    for (scorer, weight), value in zip(scorers, values, strict=True):
        if isinstance(value, Unknown):
            points, told = lowest, f"unknown, counted as its lowest: {value.why}"
        else:
            points, told = scorer.points(value), scorer.told(load, request, value)
        terms.append(Term(name=scorer.name, points=points, weight=weight, told=told))
        total += points * weight
    # Rounding may carry a mean of hundreds past 100.
    return Score(node=load.answer.node, total=min(100.0, total / share), terms=tuple(terms))
