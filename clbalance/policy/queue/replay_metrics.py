"""The figures of a replay, and how each is measured while the trace runs (docs/design/replay.md)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, fields
from statistics import fmean, stdev
from typing import Any, Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cpus, Measured, NodeName, Unknown
from clbalance.policy.queue.cluster_state import JobAllocations

_BOUND_S: Final = 10.0
"""Bounded slowdown: Feitelson and Rudolph, "Metrics and benchmarking for parallel job scheduling", JSSPP 1998."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one replay, or the means of several; None: not measurable in this trace."""

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
        """The names, in the order of display."""
        return tuple(figure.name for figure in fields(cls))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyComparison:
    """One policy's row: mean figures over `repeats` seeds, with standard deviations if there are several seeds."""

    policy: str
    queue: str | None
    figures: Figures
    repeats: int = 1
    spread: Figures | None = None


def compared(policy: str, queue: str | None, replays: Sequence[Figures]) -> PolicyComparison:
    """The row of replays that differ only in their seeds."""
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
    """Apply `of` to each figure of all replays; None if a replay lacks that figure."""
    values = {name: [getattr(one, name) for one in replays] for name in Figures.names()}
    known: dict[str, Any] = {name: None if None in found else of(found) for name, found in values.items()}
    return Figures(**known)


def bounded_slowdown(wait_s: float, run_s: float) -> float:
    """max(1, (wait + run) / max(run, 10 s)): how much longer the job took than on an empty cluster."""
    return max(1.0, (wait_s + run_s) / max(run_s, _BOUND_S))


def percentile(values: Sequence[float], pct: float) -> float | None:
    """The smallest value that is not below `pct` per cent of the values (nearest rank); None without values."""
    rank = max(1, math.ceil(pct / 100.0 * len(values)))
    return sorted(values)[rank - 1] if values else None


@dataclass(slots=True)
class WaitTimes:
    """Waiting times of started jobs, and slowdowns of those that end."""

    waits_s: list[float] = field(default_factory=list)
    slowdowns: list[float] = field(default_factory=list)

    def started(self, wait_s: float, run_s: float | None) -> None:
        """Add a started job; `run_s` None: it never ends, and has no slowdown."""
        self.waits_s.append(wait_s)
        if run_s is not None:
            self.slowdowns.append(bounded_slowdown(wait_s, run_s))


class Meter:
    """How full the nodes are: now, or with `over_time` on average since `since_s`."""

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
        """Advance the time to `now_s`; until then nothing changed."""
        span_s = now_s - self._at_s
        if self._over_time and span_s > 0.0:
            self._cpu_seconds += span_s * self._cpus
            self._gpu_seconds += span_s * self._gpus
            self._mean_seconds += span_s * self._mean_load
            self._max_seconds += span_s * max(self._load_of.values())
            self._at_s = now_s

    def took(self, holding: JobAllocations, sign: int = 1) -> None:
        """Add allocations, or with `sign` -1 remove them."""
        for node, allocation in holding.allocations:
            self._cpus += sign * allocation.cpus
            self._gpus += sign * allocation.gpu_share * len(allocation.gpus)
            load = sign * allocation.cpus / self._cpus_of[node]
            self._load_of[node] += load
            self._mean_load += load / len(self._load_of)

    def gpu_pct(self) -> float | None:
        """Allocated share of all GPUs now, in per cent."""
        return _pct(self._gpus, self._all_gpus)

    def allocated(self) -> tuple[float | None, float | None, float | None]:
        """Allocated GPUs and cpus in per cent, and the ratio of the highest node load to the mean."""
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
