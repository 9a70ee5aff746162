"""The limits past which a node takes no more work, and which of them a node is past.

Enters: a load. Leaves: its breaches, in the order of `indices.THRESHOLDS`. An index that has a limit and is not known
is a breach too, for unknown is never idle; an index without a limit is not looked at.
"""

from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.policy.indices.row import Index, Threshold
from clbalance.policy.indices.table import THRESHOLDS
from clbalance.policy.placement.load import NodeLoad


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a node may be loaded with and still take work, by the keys of `[thresholds]`; None: not looked at."""

    bounds: tuple[tuple[str, float | None], ...]

    def __init__(self, **bounds: float | None) -> None:
        """Those that are not given have their defaults."""
        defaults = {threshold.key: threshold.default for _, threshold in _TABLE}
        if unknown := bounds.keys() - defaults.keys():
            raise TypeError(f"no threshold is called {', '.join(sorted(unknown))}")
        object.__setattr__(self, "bounds", tuple((defaults | bounds).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that a node is past or, where `known` is False, cannot be told to keep.

    `index` is the load index's short name (LSF's where it has one), `reason` groups nodes in a histogram.
    """

    index: str
    reason: str
    detail: str
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimit:
    """A limit that somebody set."""

    index: Index
    threshold: Threshold
    bound: float


_TABLE = tuple((index, index.threshold) for index in THRESHOLDS if index.threshold is not None)


def limits_of(thresholds: Thresholds) -> tuple[SetLimit, ...]:
    """The limits that are set, looked up once for many nodes."""
    bounds = dict(thresholds.bounds)
    return tuple(
        SetLimit(index=index, threshold=threshold, bound=bound)
        for index, threshold in _TABLE
        if (bound := bounds[threshold.key]) is not None
    )


def breaches(load: NodeLoad, limits: Iterable[SetLimit]) -> list[Breach]:
    """Every limit that the node is past, or that cannot be told to hold."""
    found: list[Breach] = []
    for held in limits:
        value = held.index.level(load)
        if isinstance(value, Unknown):
            found.append(_unknown(held, value))
        elif value < held.bound if held.threshold.is_floor else value > held.bound:
            found.append(_past(held, value))
    return found


def _unknown(held: SetLimit, unknown: Unknown) -> Breach:
    reason = f"{held.threshold.words} unknown"
    return Breach(index=held.index.violated, reason=reason, detail=f"{reason}: {unknown.reason}", known=False)


def _past(held: SetLimit, value: float) -> Breach:
    words, unit = held.threshold.words, held.index.level_unit
    side = "below" if held.threshold.is_floor else "above"
    return Breach(
        index=held.index.violated,
        reason=f"{words} {side} {unit.limit_form.format(held.bound)}",
        detail=f"{words} is {unit.value_form.format(value)}",
    )
