"""`--same LABEL`: all nodes that are used share one value of a label, or none is used."""

from collections.abc import Sequence

from clbalance.model import NodeName, Request, Score, Unfit
from clbalance.policy.effective import Load


def keep_same(
    ranked: Sequence[Score], loads: Sequence[Load], request: Request
) -> tuple[Sequence[Score], tuple[Unfit, ...]]:
    """The ranked nodes of one value, in their order, and the others with that for a reason.

    The value is the one of which as many as are wanted have the best scores together; where none has enough nodes, the
    one that lacks fewest. For `--pick all` it is the one whose nodes have the best scores together.
    """
    label = request.constraints.same
    value_of = {load.answer.node: load.answer.labels[label] for load in loads}
    by_value: dict[str, list[Score]] = {}
    for score in ranked:
        by_value.setdefault(value_of[score.node], []).append(score)
    # Of equals the first: that is the one whose best node ranks first.
    best = max(by_value, key=lambda value: _worth(by_value[value], request.pick), default="")
    others = (score.node for score in ranked if value_of[score.node] != best)
    return by_value.get(best, []), tuple(_of_another(node, label, value_of[node], best) for node in others)


def _worth(scores: Sequence[Score], pick: int | None) -> tuple[int, float]:
    """How many of those that are wanted it has, and how good these are."""
    wanted = scores[:pick]
    # Rounded, for sums of equals in another order are no difference.
    return (0 if pick is None else len(wanted)), round(sum(score.total for score in wanted), 6)


def _of_another(node: NodeName, label: str, value: str, best: str) -> Unfit:
    return Unfit(node=node, filter="same", reason=f"{label} is not {best}", detail=f"{label} is {value}")
