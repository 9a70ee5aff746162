"""Rows of the table of indices for those that programs of the site measure (docs/design/plugins.md). Pure."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured
from clbalance.model.plugins import ExternalIndex, ExternalUnit
from clbalance.policy.indices.row import Column, Index, Threshold, Unit

_UNITS: Final = {ExternalUnit.NUMBER: Unit.COUNT, ExternalUnit.PERCENT: Unit.PERCENT, ExternalUnit.BYTES: Unit.BYTES}
_SACRIFICE: Final = 3
"""In a narrow terminal these columns go after those that decide no placement."""


def external_in(answers: Iterable[Answer]) -> tuple[ExternalIndex, ...]:
    """The external indices that the nodes were asked for; all of one sweep are asked for the same."""
    return next((one.site.indices for one in answers if isinstance(one, Measured) and one.site.values), ())


@lru_cache(maxsize=256)
def row_of(external: ExternalIndex) -> Index:
    """The row of one index; of two thresholds with the first."""
    number_form = "{:.4g}" if external.unit is ExternalUnit.NUMBER else ""
    return Index(
        name=external.name,
        unit=_UNITS[external.unit],
        read=lambda node: node.answer.site.value(external.name),
        column=Column(heading=external.name.upper(), sacrifice=_SACRIFICE, form=number_form)
        if external.has_column
        else None,
        threshold=next((limit.threshold for limit in limits_of_index(external)), None),
    )


@dataclass(frozen=True, slots=True)
class ExternalLimit:
    """A threshold of an external index."""

    threshold: Threshold
    bound: float


def limits_of_index(external: ExternalIndex) -> Iterator[ExternalLimit]:
    """Its thresholds."""
    for bound, is_floor in ((external.busy_above, False), (external.busy_below, True)):
        if bound is not None:
            yield ExternalLimit(Threshold(key="", words=external.name, is_floor=is_floor), bound)
