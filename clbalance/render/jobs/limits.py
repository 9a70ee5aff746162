"""The limits of a job, and the means by which its nodes keep them; for `explain` and `show`."""

from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Qos
from clbalance.model.job_record import CopyRecord
from clbalance.nodeset import fold
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLimits:
    """The limits that nodes keep, in the nodes' words; equal on all of `node_set`."""

    attempt: int
    node_set: str
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """The limits of one job; `qos` None: not known."""

    qos: Qos | None = None
    nodes: tuple[KeptLimits, ...] = ()


def job_limits(qos: Qos | None, copies: Iterable[CopyRecord]) -> JobLimits:
    """The limits of a job's copies as its nodes reported them; nodes with equal limits are folded."""
    found: dict[tuple[int, tuple[str, ...]], set[NodeName]] = {}
    for copy in copies:
        if copy.limits:
            found.setdefault((copy.attempt, copy.limits), set()).add(copy.intent.node)
    nodes = [KeptLimits(attempt=attempt, node_set=fold(where), kept=kept) for (attempt, kept), where in found.items()]
    return JobLimits(qos=qos, nodes=tuple(sorted(nodes, key=lambda one: (one.attempt, one.node_set, one.kept))))


def limits_lines(limits: JobLimits) -> list[str]:
    """A line for the quality of service, and one for each set of nodes with equal limits."""
    parts = [] if limits.qos is None else [f"quality of service: {limits.qos}"]
    return parts + [f"limits on {one.node_set}: {'; '.join(one.kept)}" for one in limits.nodes]


def limits_document(limits: JobLimits) -> dict[str, Json]:
    """The limits as JSON."""
    nodes: list[Json] = [
        {"attempt": one.attempt, "node_set": one.node_set, "kept": list(one.kept)} for one in limits.nodes
    ]
    return {"qos": limits.qos, "limits": nodes}
