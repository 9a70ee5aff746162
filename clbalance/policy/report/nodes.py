"""One node in a period: from the points of its history to what was seen, available, allocated and used. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.node_history import Aggregate, LeasedUse, SeriesPoint
from clbalance.model.report import NodesUse, Part, Period
from clbalance.policy.report.intervals import Columns, Interval, intervals

KEYS: Final = frozenset(
    {"cpus", "gpus", "leased_cpus", "drained_pct", "ut_pct", "load_per_cpu", "use_pct", "leased_pct", "idle_pct"}
)
"""The values of history that an account is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTime:
    """What one job has held on the node, in seconds of cpus and GPUs."""

    cpu_s: float = 0.0
    gpu_s: float = 0.0
    gpu_used: Part = Part()
    gpu_idle: Part = Part()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAccount:
    """A node in a period. `load`, `cpu`, `gpu`: the load per cpu, and the use, in the columns of pictures."""

    node: NodeName
    use: NodesUse
    leases: Mapping[tuple[int, str], LeaseTime] = field(default_factory=dict)
    """By uid and key."""
    load: tuple[Part, ...] = ()
    cpu: tuple[Part, ...] = ()
    gpu: tuple[Part, ...] = ()


def account_of(node: NodeName, points: Sequence[SeriesPoint], period: Period, columns: Columns) -> NodeAccount:
    """The account of a node with these points of history."""
    usual_cpus = max((found.mean for point in points if (found := point.values.get("cpus"))), default=None)
    use = NodesUse(seen=Part(0.0, period.seconds, known=True))
    leases: dict[tuple[int, str], LeaseTime] = {}
    nothing = [Part()] * columns.number
    load, cpu, gpu = list(nothing), list(nothing), list(nothing)
    for interval in intervals(points, period):
        part = _use_in(interval, usual_cpus)
        use += part
        up_s = _up_s(interval)
        for held in interval.point.leases:
            job = (held.uid, held.key)
            leases[job] = _with(leases.get(job, LeaseTime()), held, up_s)
        known_load = interval.point.values.get("load_per_cpu")
        for at, seconds in columns.shares(interval):
            share = seconds / interval.seconds
            if known_load is not None:
                load[at] += Part(known_load.mean * up_s * share, up_s * share, known=True)
            cpu[at] += _scaled(part.cpu_used, share)
            gpu[at] += _scaled(part.gpu_used, share)
    gpus = [found.mean for point in points if (found := point.values.get("gpus"))]
    use = replace(use, nodes=1, cpus=usual_cpus, gpus=max(gpus, default=_devices(points)))
    return NodeAccount(node=node, use=use, leases=leases, load=tuple(load), cpu=tuple(cpu), gpu=tuple(gpu))


def _devices(points: Sequence[SeriesPoint]) -> float | None:
    """The number of GPUs by their rows, for a history that does not have the number; None: there are no rows."""
    return max((float(len(point.gpus)) for point in points if point.gpus), default=None)


def _up_s(interval: Interval) -> float:
    """The seconds in which the node answered."""
    point = interval.point
    return interval.seconds * (point.asked - point.silent) / point.asked


def _use_in(interval: Interval, usual_cpus: float | None) -> NodesUse:
    """The figures of one interval. Values are of the samples that were answered."""
    point, seconds, up_s = interval.point, interval.seconds, _up_s(interval)
    values = point.values
    cpus = values["cpus"].mean if "cpus" in values else usual_cpus
    drained = values["drained_pct"].mean / 100 if "drained_pct" in values else 0.0
    cpu_s = None if cpus is None else cpus * up_s
    return NodesUse(
        seen=Part(seconds, 0.0, known=True),
        available=Part(up_s * (1.0 - drained), seconds, known=True),
        cpu_allocated=_of(values.get("leased_cpus"), up_s, cpu_s),
        cpu_used=_of(values.get("ut_pct"), None if cpu_s is None else cpu_s / 100, cpu_s),
        gpu_allocated=_gpus(point, "leased_pct", up_s),
        gpu_used=_gpus(point, "use_pct", up_s),
        gpu_idle=_idle(point, up_s),
    )


def _of(figure: Aggregate | None, weight: float | None, whole: float | None) -> Part:
    if figure is None or weight is None or whole is None:
        return Part()
    return Part(figure.mean * weight, whole, known=True)


def _gpus(point: SeriesPoint, key: str, up_s: float) -> Part:
    known = [figures[key].mean for figures in point.gpus.values() if key in figures]
    return Part(sum(known) / 100 * up_s, len(known) * up_s, known=bool(known))


def _idle(point: SeriesPoint, up_s: float) -> Part:
    known = [one for one in point.gpus.values() if "idle_pct" in one and "leased_pct" in one]
    idle, leased = (sum(one[key].mean for one in known) / 100 * up_s for key in ("idle_pct", "leased_pct"))
    return Part(idle, leased, known=bool(known))


def _with(time: LeaseTime, held: LeasedUse, up_s: float) -> LeaseTime:
    is_known = held.gpus_known > 0
    return LeaseTime(
        cpu_s=time.cpu_s + held.cpus * up_s,
        gpu_s=time.gpu_s + held.gpus * up_s,
        gpu_used=time.gpu_used + Part(held.gpus_used * up_s, held.gpus_known * up_s, is_known),
        gpu_idle=time.gpu_idle + Part(held.gpus_idle * up_s, held.gpus_known * up_s, is_known),
    )


def _scaled(part: Part, share: float) -> Part:
    return Part(part.amount * share, part.whole * share, part.known)
