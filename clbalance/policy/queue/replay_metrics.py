"""The figures of a replay, and how each is measured while the trace runs (docs/design/replay.md)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, fields
from statistics import fmean, stdev
from typing import Any, Final, Generic, Protocol, TypeVar

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cpus, Measured, NodeName, Unknown
from clbalance.policy.queue.cluster_state import JobAllocations
from clbalance.policy.queue.queues import Held

Held_contra = TypeVar("Held_contra", contravariant=True)

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


class Use(Protocol[Held_contra]):
    """How full the nodes are now. A node's load is the allocated share of its cpus."""

    @property
    def cpus(self) -> float:
        """Allocated cpus."""
        ...

    @property
    def gpus(self) -> float:
        """Allocated GPUs; shares are added up."""
        ...

    @property
    def all_cpus(self) -> int:
        """Of all nodes."""
        ...

    @property
    def all_gpus(self) -> int:
        """Of all nodes."""
        ...

    @property
    def mean_load(self) -> float:
        """Mean load of the nodes."""
        ...

    @property
    def largest_load(self) -> float:
        """The load of the fullest node."""
        ...

    def took(self, held: Held_contra, sign: int) -> None:
        """Add what a job holds, or with `sign` -1 take it away."""
        ...


class NodeUse:
    """The `Use` of measured nodes."""

    def __init__(self, nodes: Iterable[Answer]) -> None:
        measured = [node for node in nodes if isinstance(node, Measured)]
        self._cpus_of = {node.node: _cpus(node) for node in measured}
        self._load_of: dict[NodeName, float] = dict.fromkeys(self._cpus_of, 0.0)
        # There are few different loads, so the largest of them is found more quickly than the largest of all nodes.
        self._nodes_at = Counter(self._load_of.values())
        self.all_cpus = sum(self._cpus_of.values())
        self.all_gpus = sum(_gpus(node) for node in measured)
        self.cpus = self.gpus = self.mean_load = 0.0

    def took(self, held: JobAllocations, sign: int) -> None:
        for node, allocation in held.allocations:
            self.cpus += sign * allocation.cpus
            self.gpus += sign * allocation.gpu_share * len(allocation.gpus)
            load = sign * allocation.cpus / self._cpus_of[node]
            self.mean_load += load / len(self._load_of)
            self._set_load(node, self._load_of[node] + load)

    def _set_load(self, node: NodeName, load: float) -> None:
        before, self._load_of[node] = self._load_of[node], load
        self._nodes_at[load] += 1
        self._nodes_at[before] -= 1
        if not self._nodes_at[before]:
            del self._nodes_at[before]

    @property
    def largest_load(self) -> float:
        return max(self._nodes_at, default=0.0)


class Meter(Generic[Held]):
    """How full the nodes are: now, or with `over_time` on average since `since_s`."""

    def __init__(self, use: Use[Held], since_s: float, *, over_time: bool) -> None:
        self._use = use
        self._over_time = over_time
        self._at_s, self._since_s = since_s, since_s
        self._cpu_seconds = self._gpu_seconds = self._mean_seconds = self._max_seconds = 0.0

    def passed(self, now_s: float) -> None:
        """Advance the time to `now_s`; until then nothing changed."""
        span_s, use = now_s - self._at_s, self._use
        if self._over_time and span_s > 0.0:
            self._cpu_seconds += span_s * use.cpus
            self._gpu_seconds += span_s * use.gpus
            self._mean_seconds += span_s * use.mean_load
            self._max_seconds += span_s * use.largest_load
            self._at_s = now_s

    def took(self, held: Held, sign: int = 1) -> None:
        """Add what a job holds, or with `sign` -1 take it away."""
        self._use.took(held, sign)

    def gpu_pct(self) -> float | None:
        """Allocated share of all GPUs now, in per cent."""
        return _pct(self._use.gpus, self._use.all_gpus)

    def allocated(self) -> tuple[float | None, float | None, float | None]:
        """Allocated GPUs and cpus in per cent, and the ratio of the highest node load to the mean."""
        span_s, use = self._at_s - self._since_s, self._use
        if span_s == 0.0:
            return self.gpu_pct(), _pct(use.cpus, use.all_cpus), _ratio(use.largest_load, use.mean_load)
        return (
            _pct(self._gpu_seconds, span_s * use.all_gpus),
            _pct(self._cpu_seconds, span_s * use.all_cpus),
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
