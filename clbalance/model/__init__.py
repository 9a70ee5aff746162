"""The frozen values that travel along the arrow: reading → snapshot → score → plan → outcome.

Units are in the names. What could not be measured is `Unknown(why)`, and a node that did not answer is
`Silent(cause, why)`: neither is ever a zero. Nothing here does input or output.
"""

from clbalance.model.claims import DrainMark, Lease, Promise, Proposal
from clbalance.model.node_name import NodeName
from clbalance.model.plan import Plan, Qos, Request, Score, Term, Unfit
from clbalance.model.reading import (
    Cpus,
    CpuTicks,
    Gpu,
    GpuProcess,
    Memory,
    NumaNode,
    Pressure,
    Reading,
    RunQueue,
    TmpSpace,
    Traffic,
)
from clbalance.model.snapshot import Answer, Cause, Measured, Rates, Silent, Snapshot, Trend
from clbalance.model.unknown import Unknown

__all__ = [
    "Answer",
    "Cause",
    "CpuTicks",
    "Cpus",
    "DrainMark",
    "Gpu",
    "GpuProcess",
    "Lease",
    "Measured",
    "Memory",
    "NodeName",
    "NumaNode",
    "Plan",
    "Pressure",
    "Promise",
    "Proposal",
    "Qos",
    "Rates",
    "Reading",
    "Request",
    "RunQueue",
    "Score",
    "Silent",
    "Snapshot",
    "Term",
    "TmpSpace",
    "Traffic",
    "Trend",
    "Unfit",
    "Unknown",
]
