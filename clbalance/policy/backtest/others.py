"""The load of others, which a replay of our own jobs needs beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cpus, Measured, NodeName, RunQueue, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUse:
    """What one of our jobs held on a node; `end_s` None: it still runs. Seconds since 1970."""

    node: NodeName
    cpus: float
    start_s: float
    end_s: float | None


def with_load_of_others(
    idle: Snapshot, mean_load: Mapping[NodeName, tuple[float, int]], own: Iterable[OwnUse], until_s: float
) -> Snapshot:
    """The idle nodes with the load that others had on them: on average, as if it were always so much.

    `mean_load`: of each node per cpu, and since when. The cpus of our own jobs are subtracted. There stays room for the
    largest of them: it has run there.
    """
    of_node: dict[NodeName, list[OwnUse]] = {}
    for use in own:
        of_node.setdefault(use.node, []).append(use)

    def loaded(answer: Answer) -> Answer:
        if not isinstance(answer, Measured) or answer.node not in mean_load:
            return answer
        cpus = answer.reading.cpus
        assert isinstance(cpus, Cpus), "idle nodes have a size"
        per_cpu, since_s = mean_load[answer.node]
        uses = of_node.get(answer.node, [])
        load = max(0.0, per_cpu * cpus.online - _mean_cpus(uses, since_s, until_s))
        load = min(load, max(0.0, cpus.online - max((use.cpus for use in uses), default=0.0)))
        queue = RunQueue(r1m=load, r5m=load, r15m=load, rq=round(load))
        return replace(answer, reading=replace(answer.reading, run_queue=queue))

    return replace(idle, answers=tuple(map(loaded, idle.answers)))


def _mean_cpus(uses: Iterable[OwnUse], since_s: float, until_s: float) -> float:
    """The mean cpus that they held in that time."""
    if until_s <= since_s:
        return 0.0
    ends = ((use, until_s if use.end_s is None else min(use.end_s, until_s)) for use in uses)
    return sum(use.cpus * max(0.0, end_s - max(use.start_s, since_s)) for use, end_s in ends) / (until_s - since_s)
