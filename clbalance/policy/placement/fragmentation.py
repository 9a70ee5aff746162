"""GPU fragmentation: how many free GPUs of a node the next jobs could not use, by the mix of requests. Pure.

    F(n) = Σ popularity(m) · F(n, m)            expected fragment of node n, in GPUs; m: a demand of the workload
    F(n, m) = all that is free                  where m asks for no GPU, or does not fit on n
            = what is free on devices too small for m, where it fits
    S(n) = max(0, free GPUs - free cpus / μ)    stranded: without cpus for them; μ: cpus that the workload requests
                                                for each of its GPUs, those of jobs without GPUs included

F is the measure of "Beware of Fragmentation" (Weng et al., USENIX ATC 2023, section 3.2); a job goes where it makes F
grow least (fragmentation gradient descent). F looks one job ahead, so it does not see a node run out of cpus until the
next job no longer fits; S sees that from the start. On the paper's traces F + S / 2 leaves more GPUs allocated than
F alone (docs/benchmarks.md).
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Measured, Request, Snapshot, Unknown

# -- the workload: kinds of requests and how often each comes
#
# Fragmentation is measured against it: only free GPUs that the next jobs can use have value (the target workload M in
# "Beware of Fragmentation").


@dataclass(frozen=True, slots=True)
class Demand:
    """One kind of request: cpus, and `gpu_share` of each of `gpus` devices of one of `gpu_models` (empty: any)."""

    cpus: float
    gpus: int
    gpu_share: float
    gpu_models: frozenset[str]


@dataclass(frozen=True, slots=True)
class Workload:
    """Demands with their popularities, which add up to 1; empty if nothing is known."""

    demands: tuple[tuple[Demand, float], ...] = ()

    @classmethod
    def of(cls, requests: Iterable[Request]) -> "Workload":
        """The mix of these requests, in any order."""
        return cls.of_demands(demand_of(request) for request in requests)

    @classmethod
    def of_demands(cls, demands: Iterable[Demand]) -> "Workload":
        """The mix of these demands, in any order."""
        counts = Counter(demands)
        total = counts.total()
        ordered = sorted(counts.items(), key=lambda item: (-item[1], _sortable(item[0])))
        return cls(demands=tuple((demand, count / total) for demand, count in ordered))


def seen_in(snapshot: Snapshot, request: Request) -> Workload:
    """The mix of all users' running jobs and `request`: the best estimate without a history."""
    held = [
        _demand_of_allocation(lease.allocation)
        for answer in snapshot.answers
        if isinstance(answer, Measured) and not isinstance(answer.reading.leases, Unknown)
        for lease in answer.reading.leases
        if isinstance(lease.allocation, Allocation)
    ]
    return Workload.of_demands([*held, demand_of(request)])


def _demand_of_allocation(allocation: Allocation) -> Demand:
    share = allocation.gpu_share if allocation.gpus else 0.0
    return Demand(allocation.cpus, len(allocation.gpus), share, frozenset())


def demand_of(request: Request) -> Demand:
    """The part of a request that fragments devices."""
    share = request.gpu_share if request.gpus else 0.0
    return Demand(request.cpus, request.gpus, share, request.gpu_models)


def _sortable(demand: Demand) -> tuple[float, int, float, list[str]]:
    return demand.cpus, demand.gpus, demand.gpu_share, sorted(demand.gpu_models)


STRANDED_WEIGHT: Final = 0.5
_ROUNDING: Final = 1e-9


Devices: TypeAlias = tuple[tuple[float, str], ...]
"""The free share and the model of each device of a node, smallest share first."""


class FreeGpus(NamedTuple):
    """A node's free cpus and devices."""

    cpus: float
    devices: Devices

    @property
    def gpus(self) -> float:
        """Free shares added up."""
        return sum([share for share, _ in self.devices])


class Fragmentation:
    """The measure for one workload, with a cache by node state."""

    def __init__(self, workload: Workload) -> None:
        self._without_gpu = sum(popularity for demand, popularity in workload.demands if not demand.gpus)
        self._groups = _groups(workload.demands)
        gpus = sum(demand.gpus * demand.gpu_share * popularity for demand, popularity in workload.demands)
        cpus = sum(demand.cpus * popularity for demand, popularity in workload.demands)
        self._cpus_per_gpu = cpus / gpus if gpus else 0.0
        self._known: dict[Devices, FreeDevices] = {}

    def of(self, free: FreeGpus) -> float:
        """F + S / 2 of a node with these free resources, in GPUs."""
        return self.on(free.devices).of(free.cpus)

    def on(self, devices: Devices) -> "FreeDevices":
        """The measure for nodes with these devices."""
        found = self._known.get(devices)
        if found is None:
            found = self._known[devices] = FreeDevices(self, devices)
        return found

    def by_group(self, devices: Devices) -> list[tuple["_Group", float | None]]:
        """For each group what it leaves on devices that are too small for it; None: it does not fit at all."""
        return [(group, group.left_on(devices)) for group in self._groups]

    def fragment(self, cpus: float, total: float, by_group: Sequence[tuple["_Group", float | None]]) -> float:
        """F + S / 2 of a node with free devices of this total."""
        if not total:
            return 0.0
        expected = self._without_gpu * total
        for group, left in by_group:
            fitting = 0.0 if left is None else group.fitting(cpus)
            expected += (group.popularity - fitting) * total + fitting * (left or 0.0)
        stranded = max(0.0, total - cpus / self._cpus_per_gpu) if self._cpus_per_gpu else 0.0
        return expected + STRANDED_WEIGHT * stranded


class FreeDevices:
    """The measure for nodes with certain free devices, and what becomes of them; all of it is computed once."""

    def __init__(self, measure: Fragmentation, devices: Devices) -> None:
        self._measure, self._devices = measure, devices
        self._total = FreeGpus(0.0, devices).gpus
        self._by_group = measure.by_group(devices) if self._total else []
        self._known: dict[float, float] = {}
        self._after: dict[tuple[int, float], FreeDevices] = {}

    def of(self, cpus: float) -> float:
        """F + S / 2 of a node with so many free cpus, in GPUs."""
        found = self._known.get(cpus)
        if found is None:
            found = self._known[cpus] = self._measure.fragment(cpus, self._total, self._by_group)
        return found

    def after(self, place: int, share: float) -> "FreeDevices":
        """The devices after `share` was taken from the one at `place`."""
        found = self._after.get((place, share))
        if found is None:
            found = self._after[place, share] = self._measure.on(without(self._devices, place, share))
        return found


class _Group(NamedTuple):
    """Demands that differ only in cpus: their cpus, ascending, and the summed popularity of the first n."""

    gpus: int
    share: float
    models: frozenset[str]
    cpus: tuple[float, ...]
    popularities: tuple[float, ...]
    popularity: float

    def fitting(self, cpus: float) -> float:
        """Summed popularity of the demands that fit where there are enough devices, and so many cpus."""
        return self.popularities[bisect_right(self.cpus, cpus + _ROUNDING)]

    def left_on(self, devices: Devices) -> float | None:
        """Free shares of the devices that are too small for it, added up; None: too few devices are large enough."""
        small = [share for share, model in devices if share < self.share or not self.takes(model)]
        return sum(small) if len(devices) - len(small) >= self.gpus else None

    def takes(self, model: str) -> bool:
        """Whether the demands accept a device of this model."""
        return not self.models or model in self.models


def _groups(demands: Sequence[tuple[Demand, float]]) -> tuple[_Group, ...]:
    alike: dict[tuple[int, float, frozenset[str]], list[tuple[float, float]]] = defaultdict(list)
    for demand, popularity in demands:
        if demand.gpus:
            # The tolerance is for the rounding of free shares.
            alike[demand.gpus, demand.gpu_share - _ROUNDING, demand.gpu_models].append((demand.cpus, popularity))
    return tuple(_group(*kind, sorted(found)) for kind, found in alike.items())


def _group(gpus: int, share: float, models: frozenset[str], found: Sequence[tuple[float, float]]) -> _Group:
    popularities = tuple(accumulate((popularity for _, popularity in found), initial=0.0))
    return _Group(
        gpus=gpus,
        share=share,
        models=models,
        cpus=tuple(cpus for cpus, _ in found),
        popularities=popularities,
        popularity=popularities[-1],
    )


@lru_cache(maxsize=4)
def fragmentation_of(workload: Workload) -> Fragmentation:
    """The measure for a workload, cached, because its own cache of node states makes it quick."""
    return Fragmentation(workload)


def without(devices: Devices, place: int, share: float) -> Devices:
    """The devices, sorted again, after `share` was taken from the one at `place`."""
    left, model = devices[place]
    others = (*devices[:place], *devices[place + 1 :])
    # Round to millionths, so that equal states compare as equal.
    device = (round(max(0.0, left - share), 6), model)
    at = bisect_left(others, device)
    return (*others[:at], device, *others[at:])
