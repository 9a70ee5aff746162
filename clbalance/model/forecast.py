"""What is expected of a node: values, not promises. Frozen; keys carry units."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The value of one load index to expect at a later time, in the index's own unit."""

    value: float
    error: float | None
    """How wrong such forecasts of this node usually were (mean absolute error); None: not known yet."""
    last_error: float | None
    """How wrong it would have been to expect the last value."""
    by: str
    """The predictor that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The load that is rarely passed, of the last day or two; None: not known."""

    cpu_use_p95_pct: float | None
    mem_used_p98_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeForecast:
    """What is expected of one node: of its indices, by the keys of `policy.indices.table.FORECASTS`, and its peaks."""

    expected: Mapping[str, Expected]
    peaks: Peaks
