"""How risky it is to count on a node: its mean load with the job on it, and how much that load varies.

    risk = (mean + deviation) / 2, both as shares of the node's cpus

Load variation risk balancing, as in Kubernetes' Trimaran (margin and sensitivity 1): of two nodes with the same mean
the steadier one is the better place.
"""

from clbalance.model import Request, Unknown
from clbalance.policy.effective import Load
from clbalance.policy.samples import R1M_PER_CPU


def risk_pct(load: Load, request: Request) -> float | Unknown:
    """Of the run queue per cpu over the looks that are remembered; what was just placed is not in them yet."""
    trend = load.answer.trends.get(R1M_PER_CPU)
    if trend is None:
        return Unknown(why="no history")
    placed = (load.ledger.debt_cpus + request.cpus) / load.cpus
    return 100.0 * (trend.mean + placed + trend.deviation) / 2.0
