"""Whether a node will probably stay free for a job: a warning, never a promise. Pure."""

from enum import StrEnum
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Measured, Memory, NodeName, Request
from clbalance.model.forecast import Expected
from clbalance.policy.indices.samples import R1M_PER_CPU

_MEM_LEFT: Final = "mem_available_pct"
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
    cpus, memory = answer.reading.cpus, answer.reading.memory
    load, left = answer.expected.get(R1M_PER_CPU), answer.expected.get(_MEM_LEFT)
    if load is None or load.error is None or not isinstance(cpus, Cpus):
        return StaysFree(node=answer.node, verdict=Verdict.UNKNOWN, why="nobody has asked it often enough")
    with_job = load.value + request.cpus / cpus.online
    found = [(_beyond(with_job, load.error, _FULL if limit is None else limit), _load_text(with_job, load.error))]
    if request.mem_bytes and left is not None and left.error is not None and isinstance(memory, Memory):
        found.append((_beyond(-left.value, left.error, -_pct(request, memory)), _memory_text(left)))
    verdict, why = max(found, key=lambda one: _ORDER.index(one[0]))
    return StaysFree(node=answer.node, verdict=verdict, why=why)


_ORDER: Final = (Verdict.YES, Verdict.MAYBE, Verdict.NO)


def _beyond(value: float, error: float, limit: float) -> Verdict:
    if value > limit:
        return Verdict.NO
    return Verdict.MAYBE if value + error > limit else Verdict.YES


def _pct(request: Request, memory: Memory) -> float:
    return 100.0 * request.mem_bytes / memory.total_bytes


def _load_text(value: float, error: float) -> str:
    return f"load {value:.2f} per cpu expected with this job, usual error {error:.2f}"


def _memory_text(left: Expected) -> str:
    return f"{left.value:.0f}% of its memory expected to be available, usual error {left.error:.0f}%"
