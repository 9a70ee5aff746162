"""`--order`: scores that rank nodes by expressions instead of the policy's weights. Pure.

The points only give the rank among the compared nodes: 100 for the first, equal points for equal nodes.
"""

from collections.abc import Sequence
from itertools import groupby

from clbalance.errors import ExpressionError
from clbalance.model import Gpu, NodeName, Request, Score, Term, Unknown
from clbalance.policy.expressions.values import Subject, devices_of
from clbalance.policy.expressions.where import SortPlace, parse_order, place_by
from clbalance.policy.indices.external import external_in
from clbalance.policy.placement.gpus import gpu_candidates, matching_devices
from clbalance.policy.placement.load import NodeLoad


def scores_in_order(loads: Sequence[NodeLoad], request: Request) -> list[Score]:
    """The score of each node, best first; expressions about GPUs use only GPUs that fit the request."""
    try:
        keys = parse_order(request.constraints.order, external=external_in(load.answer for load in loads))
    except ExpressionError as error:  # it was submitted with indices of the site that these settings lack
        return [_score(node, 0.0, error.message) for node in sorted(load.answer.node for load in loads)]
    return scores_by({load.answer.node: place_by(keys, _subjects(load, request), request.gpus) for load in loads})


def scores_by(places: dict[NodeName, SortPlace]) -> list[Score]:
    """Scores by sort place; equal places get equal points."""
    ordered = sorted(places, key=lambda node: (places[node].sort_by, node))
    scores: list[Score] = []
    for _, equals in groupby(ordered, key=lambda node: places[node].sort_by):
        points = 100.0 * (1.0 - len(scores) / len(ordered))
        scores += [_score(node, points, places[node].message) for node in equals]
    return scores


def _score(node: NodeName, points: float, message: str) -> Score:
    return Score(node=node, total=points, terms=(Term(name="order", points=points, weight=1.0, source=message),))


def _subjects(load: NodeLoad, request: Request) -> tuple[Subject, ...]:
    answer = matching_devices(load.answer, request)
    if not request.gpus:
        return devices_of(answer)
    free = gpu_candidates(answer, request)
    assert not isinstance(free, Unknown), "a node whose GPUs are not known has none to give"
    return tuple(one for one in devices_of(answer) if not isinstance(one.gpu, Gpu) or one.gpu.uuid in free)
