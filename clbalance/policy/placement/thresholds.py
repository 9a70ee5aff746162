"""Thresholds past which a node takes no more jobs, and which of them a node breaches. Pure.

Input: a load. Output: its breaches, in the order of `indices.table.THRESHOLDS`. An unknown index with a threshold is a
breach too, because unknown is never idle; an index without a threshold is ignored.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.model.plugins import ExternalIndex
from clbalance.policy.indices.row import Index, Threshold
from clbalance.policy.indices.table import THRESHOLDS

if TYPE_CHECKING:  # thresholds are read before any load is known: docs/design/startup.md
    from clbalance.policy.placement.load import NodeLoad


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds by the keys of `[thresholds]`; None: the index is ignored."""

    bounds: tuple[tuple[str, float | None], ...]
    external: tuple[ExternalIndex, ...]
    """The indices of the site's own programs, which have their thresholds themselves."""

    def __init__(self, external: tuple[ExternalIndex, ...] = (), /, **bounds: float | None) -> None:
        """Missing keys get their defaults."""
        defaults = {threshold.key: threshold.default for _, threshold in _TABLE}
        if unknown := bounds.keys() - defaults.keys():
            raise TypeError(f"no threshold is called {', '.join(sorted(unknown))}")
        object.__setattr__(self, "bounds", tuple((defaults | bounds).items()))
        object.__setattr__(self, "external", external)

    def bound(self, key: str) -> float | None:
        """The threshold of that key; None: the index is ignored."""
        return dict(self.bounds)[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A breached threshold; `known` False: the index is unknown.

    `index`: short name of the load index (LSF's if there is one). Nodes are counted by `reason` in summaries.
    """

    index: str
    reason: str
    detail: str
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimit:
    """A threshold that is switched on."""

    index: Index
    threshold: Threshold
    bound: float


_TABLE = tuple((index, index.threshold) for index in THRESHOLDS if index.threshold is not None)


def limits_of(thresholds: Thresholds) -> tuple[SetLimit, ...]:
    """The thresholds that are switched on, looked up once for many nodes."""
    bounds = dict(thresholds.bounds)
    own = tuple(
        SetLimit(index=index, threshold=threshold, bound=bound)
        for index, threshold in _TABLE
        if (bound := bounds[threshold.key]) is not None
    )
    return own + _external_limits(thresholds.external) if thresholds.external else own


def _external_limits(indices: Iterable[ExternalIndex]) -> tuple[SetLimit, ...]:
    from clbalance.policy.indices.external import limits_of_index, row_of  # few sites have any

    return tuple(
        SetLimit(index=row_of(index), threshold=limit.threshold, bound=limit.bound)
        for index in indices
        for limit in limits_of_index(index)
    )


def breaches(load: "NodeLoad", limits: Iterable[SetLimit]) -> list[Breach]:
    """Every breached threshold, those of unknown indices included."""
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
