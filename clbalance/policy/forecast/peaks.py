"""Peaks by decaying histograms, as in Kubernetes' vertical pod autoscaler and in Koordinator. Pure.

A histogram is twenty numbers: how often the load was within each twentieth of 0 to 100 %. Old samples count less.
"""

from array import array
from itertools import accumulate
from typing import Final

from clbalance.policy.forecast.series import Numbers

BUCKETS: Final = 20
_WIDTH_PCT: Final = 100.0 / BUCKETS
_FEWEST: Final = 12.0
"""So many samples, an hour of them, make a peak."""


def aged(buckets: Numbers, passed_s: float, half_life_s: float) -> Numbers:
    """The histogram so much later."""
    kept = 0.5 ** (passed_s / half_life_s)
    return array("f", [kept * count for count in buckets])


def bucket_of(value_pct: float) -> int:
    """The bucket of a load."""
    return min(BUCKETS - 1, max(0, int(value_pct / _WIDTH_PCT)))


def percentile(buckets: Numbers, share: float) -> float | None:
    """The load in per cent that was not passed in this share of the time, as the upper end of its bucket."""
    sums = list(accumulate(buckets))
    if not sums[-1] >= _FEWEST:
        return None
    return _WIDTH_PCT * (1 + next(at for at, total in enumerate(sums) if total >= share * sums[-1]))
