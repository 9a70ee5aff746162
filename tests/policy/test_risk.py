"""How risky a node is, over what was seen of it."""

import pytest

from clbalance.model import Measured, Request, Trend, Unknown
from clbalance.policy.effective import Load, effective_load
from clbalance.policy.risk import risk_pct

from .build import node, trend


def load(answer: Measured) -> Load:
    found = effective_load(answer)
    assert isinstance(found, Load)
    return found


@pytest.mark.parametrize(
    ("use", "cpus", "risk"),
    [
        pytest.param(trend(40.0), 0.0, 20.0, id="half of the mean where nothing varies"),
        pytest.param(trend(40.0, deviation=20.0), 0.0, 30.0, id="and half of the deviation"),
        pytest.param(trend(40.0), 1.0, 32.5, id="one of four cpus more"),
        pytest.param(trend(90.0, deviation=300.0), 4.0, 100.0, id="never more than all of it"),
    ],
)
def test_mean_and_deviation(use: Trend, cpus: float, risk: float) -> None:
    assert risk_pct(load(node("n", trends={"ut_pct": use})), Request(cpus=cpus)) == risk


def test_without_history_nobody_knows() -> None:
    assert risk_pct(load(node("n")), Request()) == Unknown(why="no history of its cpu use")
