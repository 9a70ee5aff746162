"""`--same LABEL`: all nodes that are used share one value of a label, or none is used."""

from collections.abc import Iterable, Sequence

from clbalance.model import NodeName, Unfit


def best_value(ranked: Iterable[tuple[str, float]], pick: int | None) -> str:
    """The value to use, of nodes that are given as value and score in the order in which they would be used.

    That is the one of which as many as are wanted have the best scores together; where none has enough nodes, the one
    that lacks fewest. For `--pick all` it is the one whose nodes have the best scores together.
    """
    by_value: dict[str, list[float]] = {}
    for value, total in ranked:
        by_value.setdefault(value, []).append(total)
    # Of equals the first: that is the one whose best node ranks first.
    return max(by_value, key=lambda value: _worth(by_value[value], pick), default="")


def of_another(node: NodeName, label: str, value: str, best: str) -> Unfit:
    """A node that would fit, and has another value."""
    return Unfit(node=node, filter="same", reason=f"{label} is not {best}", detail=f"{label} is {value}")


def _worth(totals: Sequence[float], pick: int | None) -> tuple[int, float]:
    """How many of those that are wanted it has, and how good these are."""
    wanted = totals[:pick]
    # Rounded, for sums of equals in another order are no difference.
    return (0 if pick is None else len(wanted)), round(sum(wanted), 6)
