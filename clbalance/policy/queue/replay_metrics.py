"""What is told of a replay: the figures, and how each is taken while the trace runs (docs/design/replay.md)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, fields
from statistics import fmean, stdev
from typing import Any, Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cpus, Measured, NodeName, Unknown
from clbalance.policy.queue.cluster_state import JobAllocations

_BOUND_S: Final = 10.0
"""Of bounded slowdown: Feitelson and Rudolph, "Metrics and benchmarking for parallel job scheduling", JSSPP 1998."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one replay, or the means of several; None: there is nothing to take it of."""

    placed: float
    refused: float
    gpu_allocated_pct: float | None
    cpu_allocated_pct: float | None
    gpu_allocated_at_first_refusal_pct: float | None
    wait_mean_s: float | None
    wait_p95_s: float | None
    bounded_slowdown_mean: float | None
    bounded_slowdown_max: float | None
    max_over_mean: float | None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """In the order in which they are shown."""
        return tuple(figure.name for figure in fields(cls))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyComparison:
    """One policy's row: its figures, over `repeats` seeds, and their standard deviations where there are several."""

    policy: str
    queue: str | None
    figures: Figures
    repeats: int = 1
    spread: Figures | None = None


def compared(policy: str, queue: str | None, replays: Sequence[Figures]) -> PolicyComparison:
    """The row of replays that differ in their seeds alone."""
    if len(replays) == 1:
        return PolicyComparison(policy=policy, queue=queue, figures=replays[0])
    return PolicyComparison(
        policy=policy,
        queue=queue,
        figures=_each(replays, fmean),
        repeats=len(replays),
        spread=_each(replays, stdev),
    )


def _each(replays: Sequence[Figures], of: Callable[[list[float]], float]) -> Figures:
    """Figure by figure; None where one of them has none."""
    values = {name: [getattr(one, name) for one in replays] for name in Figures.names()}
    known: dict[str, Any] = {name: None if None in found else of(found) for name, found in values.items()}
    return Figures(**known)


def bounded_slowdown(wait_s: float, run_s: float) -> float:
    """max(1, (wait + run) / max(run, 10 s)): how much longer than on an empty cluster it took."""
    return max(1.0, (wait_s + run_s) / max(run_s, _BOUND_S))


def percentile(values: Sequence[float], pct: float) -> float | None:
    """The smallest of them that is not below `pct` per cent of them (nearest rank); None of none."""
    rank = max(1, math.ceil(pct / 100.0 * len(values)))
    return sorted(values)[rank - 1] if values else None


@dataclass(slots=True)
class WaitTimes:
    """What those that were started have waited, and how slow that made those that ended."""

    waits_s: list[float] = field(default_factory=list)
    slowdowns: list[float] = field(default_factory=list)

    def started(self, wait_s: float, run_s: float | None) -> None:
        """One more; `run_s` None: it never ends, and has no slowdown."""
        self.waits_s.append(wait_s)
        if run_s is not None:
            self.slowdowns.append(bounded_slowdown(wait_s, run_s))


class Meter:
    """How full the nodes are: at this moment or, `over_time`, from `since_s` until now."""

    def __init__(self, nodes: Iterable[Answer], since_s: float, *, over_time: bool) -> None:
        measured = [node for node in nodes if isinstance(node, Measured)]
        self._cpus_of = {node.node: _cpus(node) for node in measured}
        self._load_of: dict[NodeName, float] = dict.fromkeys(self._cpus_of, 0.0)
        self._all_cpus = sum(self._cpus_of.values())
        self._all_gpus = sum(_gpus(node) for node in measured)
        self._cpus = self._gpus = 0.0
        self._mean_load = 0.0
        self._over_time = over_time
        self._at_s, self._since_s = since_s, since_s
        self._cpu_seconds = self._gpu_seconds = self._mean_seconds = self._max_seconds = 0.0

    def passed(self, now_s: float) -> None:
        """Until now it was as full as it is."""
        span_s = now_s - self._at_s
        if self._over_time and span_s > 0.0:
            self._cpu_seconds += span_s * self._cpus
            self._gpu_seconds += span_s * self._gpus
            self._mean_seconds += span_s * self._mean_load
            self._max_seconds += span_s * max(self._load_of.values())
            self._at_s = now_s

    def took(self, holding: JobAllocations, sign: int = 1) -> None:
        """Something was placed, or with `sign` -1 has ended."""
        for node, allocation in holding.allocations:
            self._cpus += sign * allocation.cpus
            self._gpus += sign * allocation.gpu_share * len(allocation.gpus)
            load = sign * allocation.cpus / self._cpus_of[node]
            self._load_of[node] += load
            self._mean_load += load / len(self._load_of)

    def gpu_pct(self) -> float | None:
        """Of all GPUs, at this moment."""
        return _pct(self._gpus, self._all_gpus)

    def allocated(self) -> tuple[float | None, float | None, float | None]:
        """GPUs and cpus in per cent, and the largest load of a node over the mean."""
        span_s = self._at_s - self._since_s
        if span_s == 0.0:
            largest = max(self._load_of.values(), default=0.0)
            return self.gpu_pct(), _pct(self._cpus, self._all_cpus), _ratio(largest, self._mean_load)
        return (
            _pct(self._gpu_seconds, span_s * self._all_gpus),
            _pct(self._cpu_seconds, span_s * self._all_cpus),
            _ratio(self._max_seconds, self._mean_seconds),
        )


def _pct(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole else None


def _ratio(largest: float, mean: float) -> float | None:
    return largest / mean if mean > 1e-12 else None


def _cpus(node: Measured) -> int:
    cpus = node.reading.cpus
    return cpus.online if isinstance(cpus, Cpus) else 1


def _gpus(node: Measured) -> int:
    gpus = node.reading.gpus
    return 0 if isinstance(gpus, Unknown) else len(gpus)
