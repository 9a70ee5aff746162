"""How risky it is to count on a node: its mean load and how much that varies, over its history.

    risk = (mean + deviation) / 2, of the cpus' use, both as shares of the node

Load variation risk balancing, as in Kubernetes' Trimaran (margin and sensitivity 1): of two nodes with the same mean
the steadier one is the better place.
"""

from clbalance.model import Request, Unknown
from clbalance.policy.effective import Load
from clbalance.policy.samples import UT_PCT


def risk_pct(load: Load, request: Request) -> float | Unknown:
    """Per cent, with what is asked for added to the mean."""
    use = load.answer.trends.get(UT_PCT)
    if use is None:
        return Unknown(why="no history of its cpu use")
    mean = min(100.0, use.mean + 100.0 * request.cpus / load.cpus)
    return (mean + min(100.0, use.deviation)) / 2.0
