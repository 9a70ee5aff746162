"""Debt and leases are what keeps stale load from sending every job to the same node (docs/benchmarks.md)."""

import pytest

from tests.bench.stale_load import Case, mean_response

JOBS = 1_500


@pytest.mark.soak
@pytest.mark.parametrize("dispatchers", [1, 8])
def test_placing_on_old_snapshots_stays_far_from_chance_and_forgetting_does_not(dispatchers: int) -> None:
    """The figures with their limits are `python -m tests.bench stale`; this holds the order at a small count."""
    ours = mean_response(Case(policy="least", age=5.0, dispatchers=dispatchers), jobs=JOBS, seed=3)
    by_chance = mean_response(Case(policy="random"), jobs=JOBS, seed=3)
    forgetful = mean_response(
        Case(policy="least", age=5.0, dispatchers=dispatchers, remembers=False), jobs=JOBS, seed=3
    )
    assert ours < 0.7 * by_chance
    assert ours < forgetful
