"""One node as reports get it, with its state and score; and the order of nodes."""

from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Silent, Unknown
from clbalance.natural_order import natural_order
from clbalance.policy.indices import readers
from clbalance.policy.indices.row import AnsweredNode


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node of `load`. `violated`: indices past their thresholds; `score` None: the node is unfit or silent."""

    node: NodeName
    """On a terminal perhaps several silent ones, folded."""
    state: str
    reason: str | None
    violated: frozenset[str]
    answer: Answer
    score: float | None


def least_loaded_first(rows: Iterable[NodeRow]) -> list[NodeRow]:
    """Nodes with a score, best first; then others by load per cpu; then those with unknown load; silent nodes last."""
    return sorted(rows, key=_place_in_table)


def _place_in_table(row: NodeRow) -> tuple[int, float, list[str]]:
    name = natural_order(row.node)
    if isinstance(row.answer, Silent):
        return 3, 0.0, name
    if row.score is not None:
        return 0, -row.score, name
    load = load_per_cpu(row.answer)
    return (2, 0.0, name) if isinstance(load, Unknown) else (1, load, name)


def load_per_cpu(measured: Measured) -> float | Unknown:
    """r1m with unreflected load, per online cpu: the value that is compared with its threshold."""
    return readers.load_per_cpu(AnsweredNode.of(measured))
