"""What a cluster is asked for: kinds of requests and how often each comes.

Fragmentation is measured against it: free GPUs are worth what the next jobs can use of them ("Beware of
Fragmentation", Weng et al., USENIX ATC 2023, there the target workload M).
"""

from collections import Counter
from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Promise, Request, Snapshot, Unknown


@dataclass(frozen=True, slots=True)
class Demand:
    """One kind of request; `gpu_share` of each of `gpus` devices, of one of `gpu_models` (empty: any)."""

    cpus: float
    gpus: int
    gpu_share: float
    gpu_models: frozenset[str]


@dataclass(frozen=True, slots=True)
class Workload:
    """Demands with their popularity, which adds up to 1; empty where nothing is known."""

    demands: tuple[tuple[Demand, float], ...] = ()

    @classmethod
    def of(cls, requests: Iterable[Request]) -> "Workload":
        """The mix of these requests, whatever their order."""
        return cls.of_demands(demand_of(request) for request in requests)

    @classmethod
    def of_demands(cls, demands: Iterable[Demand]) -> "Workload":
        """Likewise."""
        counts = Counter(demands)
        total = counts.total()
        ordered = sorted(counts.items(), key=lambda item: (-item[1], _sortable(item[0])))
        return cls(demands=tuple((demand, count / total) for demand, count in ordered))


def seen_in(snapshot: Snapshot, request: Request) -> Workload:
    """The mix of what runs now, everybody's, and of what is about to: the best that is known without a history."""
    held = [
        _demand_of_promise(lease.promise)
        for answer in snapshot.answers
        if isinstance(answer, Measured) and not isinstance(answer.reading.leases, Unknown)
        for lease in answer.reading.leases
        if isinstance(lease.promise, Promise)
    ]
    return Workload.of_demands([*held, demand_of(request)])


def _demand_of_promise(promise: Promise) -> Demand:
    share = promise.gpu_share if promise.gpus else 0.0
    return Demand(promise.cpus, len(promise.gpus), share, frozenset())


def demand_of(request: Request) -> Demand:
    """The part of a request that fragments devices."""
    share = request.gpu_share if request.gpus else 0.0
    return Demand(request.cpus, request.gpus, share, request.gpu_models)


def _sortable(demand: Demand) -> tuple[float, int, float, list[str]]:
    return demand.cpus, demand.gpus, demand.gpu_share, sorted(demand.gpu_models)
