"""Forecasts as JSON."""

from clbalance.model.forecast import Expected, NodeForecast
from clbalance.render.text import Json, finite


def forecast_document(found: NodeForecast | None) -> Json:
    """What is expected of a node as JSON; null if it has not been asked before."""
    if found is None:
        return None
    return {
        **{key: expected_document(one) for key, one in found.expected.items()},
        "peaks": {"cpu_use_p95_pct": found.peaks.cpu_use_p95_pct, "mem_used_p98_pct": found.peaks.mem_used_p98_pct},
    }


def expected_document(one: Expected) -> dict[str, Json]:
    """One index of a forecast as JSON. `by`: the predictor that says so."""
    return {
        "expected": finite(one.value),
        "usual_error": finite(one.error),
        "error_of_last_value": finite(one.last_error),
        "by": one.by,
    }
