"""Who asks for a node for hours is told what is expected of it: never more, never less."""

from dataclasses import replace

import pytest

from clbalance.model import Measured, Request
from clbalance.model.forecast import Expected
from clbalance.policy.forecast.carry import carried_forward
from clbalance.policy.forecast.stays_free import Verdict, stays_free
from tests.policy.build import node


def expecting(one: Measured, **expected: float | None) -> Measured:
    """The node, of which these values are expected with an error of 0.1, or none is known."""
    found = {
        key: Expected(value=value, error=0.1, last_error=0.2, by="trend")
        for key, value in expected.items()
        if value is not None
    }
    return replace(one, expected=found)


@pytest.mark.parametrize(
    ("load", "cpus", "verdict"),
    [
        pytest.param(0.5, 1.0, Verdict.YES, id="room for the job and for the usual error"),
        pytest.param(0.7, 1.0, Verdict.MAYBE, id="room for the job, but not for the usual error"),
        pytest.param(0.8, 1.0, Verdict.NO, id="no room with the job"),
        pytest.param(0.8, 0.0, Verdict.YES, id="a job that asks for no cpu"),
    ],
)
def test_the_load_that_is_expected_counts_with_the_job_itself(load: float, cpus: float, verdict: Verdict) -> None:
    one = expecting(node("a", cpus=4), r1m_per_cpu=load)
    assert stays_free(one, Request(cpus=cpus), 1.0).verdict is verdict


def test_without_a_threshold_a_node_is_full_when_its_cpus_are() -> None:
    assert stays_free(expecting(node("a", cpus=4), r1m_per_cpu=0.95), Request(), None).verdict is Verdict.NO


def test_a_node_without_a_forecast_is_unknown_and_not_free() -> None:
    assert stays_free(node("a"), Request(), 1.0).verdict is Verdict.UNKNOWN
    assert stays_free(expecting(node("a", cpus=None), r1m_per_cpu=0.1), Request(), 1.0).verdict is Verdict.UNKNOWN


def test_a_forecast_without_an_error_is_unknown() -> None:
    new = Expected(value=0.1, error=None, last_error=None, by="last value")
    found = stays_free(replace(node("a"), expected={"r1m_per_cpu": new}), Request(), 1.0)
    assert (found.verdict, found.why) == (Verdict.UNKNOWN, "nobody has asked it often enough")


def test_what_is_carried_forward_has_the_load_that_is_expected_now() -> None:
    one = carried_forward(expecting(node("a", r1m=0.0, ut=10.0, cpus=4), r1m_per_cpu=0.5, ut_pct=60.0))
    assert one.reading.run_queue.r1m == 2.0  # type: ignore[union-attr]  # it was measured
    assert one.rates.ut_pct == 60.0  # type: ignore[union-attr]  # likewise


def test_without_a_forecast_and_without_a_measurement_nothing_is_carried_forward() -> None:
    assert carried_forward(node("a")) == node("a")
    unknown = expecting(node("a", r1m=None, ut=None), r1m_per_cpu=0.5, ut_pct=60.0)
    found = carried_forward(unknown)
    assert (found.reading, found.rates) == (unknown.reading, unknown.rates)
