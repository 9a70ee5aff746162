"""Frozen values that the other packages exchange: reading → snapshot → score → plan → outcome.

Units are in the names. A quantity that could not be measured is `Unknown(reason)`, and a node that did not answer is
`Silent(cause, reason)`: neither is ever a zero. Nothing here does input or output.
"""

from clbalance.model.reading import (
    Allocation,
    Cpus,
    CpuTicks,
    DrainMark,
    Gpu,
    GpuProcess,
    JobFolder,
    Lease,
    Memory,
    NodeLimits,
    NodeName,
    NumaNode,
    Pressure,
    Proposal,
    Reading,
    RunQueue,
    TmpSpace,
    Traffic,
    Unknown,
)
from clbalance.model.request import Plan, Qos, Request, Score, Term, Unfit
from clbalance.model.snapshot import Answer, Cause, Measured, Rates, Silent, Snapshot, Trend

__all__ = [
    "Allocation",
    "Answer",
    "Cause",
    "CpuTicks",
    "Cpus",
    "DrainMark",
    "Gpu",
    "GpuProcess",
    "JobFolder",
    "Lease",
    "Measured",
    "Memory",
    "NodeLimits",
    "NodeName",
    "NumaNode",
    "Plan",
    "Pressure",
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
