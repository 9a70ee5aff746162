"""What history keeps of one answer. Pure.

Silence is part of it: an outage must be seen. But a failure of this host says nothing about a node.
"""

from collections.abc import Iterable, Mapping
from typing import assert_never

from clbalance.model import Answer, Cause, Gpu, Measured, Silent, Unknown
from clbalance.past import PastLook
from clbalance.policy.index import AnsweredNode, Index, Node
from clbalance.policy.indices import HISTORY


def past_look(answer: Answer) -> PastLook | None:
    """None where the node was not really asked."""
    match answer:
        case Silent(cause=Cause.LOCAL | Cause.NOT_AWAITED):
            return None
        case Silent():
            return PastLook(answered=False)
        case Measured():
            gpus = answer.reading.gpus
            of_gpus = () if isinstance(gpus, Unknown) else tuple(map(_gpu_values, gpus))
            return PastLook(answered=True, values=values_of(AnsweredNode.of(answer), HISTORY), gpus=of_gpus)
        case _:
            assert_never(answer)


def values_of(node: Node, indices: Iterable[Index]) -> dict[str, float]:
    """What history keeps of these indices, by its keys; what is unknown is left out."""
    looks = ((index.history.key, index.kept(node)) for index in indices if index.history)
    return {key: float(value) for key, value in looks if not isinstance(value, Unknown)}


def _gpu_values(gpu: Gpu) -> Mapping[str, float]:
    held = {"mem_pct": _share(gpu.mem_used_bytes, gpu.mem_total_bytes)}
    return held if isinstance(gpu.use_pct, Unknown) else {"use_pct": gpu.use_pct, **held}


def _share(part: float, whole: float) -> float:
    return 100.0 * part / max(1, whole)
