"""Why nothing fits, in one line."""

import pytest

from clbalance.model import Snapshot
from clbalance.policy.placement.explain import unfit_summary
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import names, node, placed, silent, sweep

BUSY = [node(f"b{number}", r1m=4.0) for number in range(5)]
VAGUE = [node(f"v{number}", r1m=None) for number in range(4)]
OUT = [node(f"x{number}") for number in range(3)]


@pytest.mark.parametrize(
    ("snapshot", "pick", "total", "line"),
    [
        pytest.param(
            sweep(*BUSY, *VAGUE, *OUT),
            1,
            12,
            "0/12 nodes fit: 5 load above 0.80, 4 load unknown, 3 excluded",
            id="reasons come most frequent first",
        ),
        pytest.param(
            sweep(*BUSY[:1], silent("s")), 1, 2, "0/2 nodes fit: 1 hung, 1 load above 0.80", id="then by name"
        ),
        pytest.param(
            sweep(node("a"), *BUSY), 4, 6, "1/6 nodes fit, 4 wanted: 5 load above 0.80", id="too few: how many"
        ),
        pytest.param(sweep(node("a")), 4, 1, "1/1 nodes fit, 4 wanted", id="no reason where none was rejected"),
        pytest.param(sweep(*VAGUE), None, 6, "0/6 nodes fit: 4 load unknown, 2 not asked", id="nobody is left out"),
        pytest.param(sweep(), None, 0, "0/0 nodes fit", id="no nodes at all"),
    ],
)
def test_the_line_counts_the_reasons(snapshot: Snapshot, pick: int | None, total: int, line: str) -> None:
    policy = Policy(thresholds=Thresholds(r1m_per_cpu=0.8))
    plan = placed(snapshot, pick=pick, policy=policy, excluded=names("x0", "x1", "x2"))
    assert unfit_summary(plan, total) == line
