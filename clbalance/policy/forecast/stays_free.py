"""Whether a node will probably stay free for a job: a warning, never a promise. Pure."""

from enum import StrEnum
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Measured, NodeName, Request
from clbalance.policy.indices.samples import R1M_PER_CPU

_FULL: Final = 1.0
"""The load per cpu of a node whose cpus are all taken: what counts if no threshold is set."""


class Verdict(StrEnum):
    """Will it stay free?"""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaysFree:
    """The verdict on one node, and why, in words."""

    node: NodeName
    verdict: Verdict
    why: str


def stays_free(answer: Measured, request: Request, limit: float | None) -> StaysFree:
    """By what is expected of the node. `limit`: of the load per cpu, with the job itself; None: no threshold is set."""
    cpus, load = answer.reading.cpus, answer.expected.get(R1M_PER_CPU)
    if load is None or load.error is None or not isinstance(cpus, Cpus):
        return StaysFree(node=answer.node, verdict=Verdict.UNKNOWN, why="nobody has asked it often enough")
    with_job = load.value + request.cpus / cpus.online
    verdict = _verdict(with_job, load.error, _FULL if limit is None else limit)
    why = f"load {with_job:.2f} per cpu expected with this job, usual error {load.error:.2f}"
    return StaysFree(node=answer.node, verdict=verdict, why=why)


def _verdict(value: float, error: float, limit: float) -> Verdict:
    if value > limit:
        return Verdict.NO
    return Verdict.MAYBE if value + error > limit else Verdict.YES
