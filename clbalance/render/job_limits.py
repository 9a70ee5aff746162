"""A job's quality of service, and by what its nodes keep its limits, for `explain`."""

from collections.abc import Iterable

from clbalance.job import CopyRecord
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Qos
from clbalance.nodes import fold
from clbalance.render.json_value import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLimits:
    """The same on all these nodes, in their words."""

    attempt: int
    node_set: str
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Of one job; `qos` None: not known."""

    qos: Qos | None = None
    nodes: tuple[KeptLimits, ...] = ()


def job_limits(qos: Qos | None, copies: Iterable[CopyRecord]) -> JobLimits:
    """What its nodes have told of the limits of its copies, folded where they say the same."""
    found: dict[tuple[int, tuple[str, ...]], set[NodeName]] = {}
    for copy in copies:
        if copy.limits:
            found.setdefault((copy.attempt, copy.limits), set()).add(copy.intent.node)
    nodes = [KeptLimits(attempt=attempt, node_set=fold(where), kept=kept) for (attempt, kept), where in found.items()]
    return JobLimits(qos=qos, nodes=tuple(sorted(nodes, key=lambda one: (one.attempt, one.node_set, one.kept))))


def limits_lines(limits: JobLimits) -> list[str]:
    """As people read it."""
    told = [] if limits.qos is None else [f"quality of service: {limits.qos}"]
    return told + [f"limits on {one.node_set}: {'; '.join(one.kept)}" for one in limits.nodes]


def limits_rows(limits: JobLimits) -> list[tuple[str | None, str, None, str, int | None]]:
    """In the columns of `explain` in plain text: node, verdict, score, why, attempt."""
    rows: list[tuple[str | None, str, None, str, int | None]] = []
    if limits.qos is not None:
        rows.append((None, "qos", None, limits.qos.value, None))
    return rows + [(one.node_set, "limit", None, kept, one.attempt) for one in limits.nodes for kept in one.kept]


def limits_document(limits: JobLimits) -> dict[str, Json]:
    """As programs read it."""
    nodes: list[Json] = [
        {"attempt": one.attempt, "node_set": one.node_set, "kept": list(one.kept)} for one in limits.nodes
    ]
    return {"qos": limits.qos, "limits": nodes}
