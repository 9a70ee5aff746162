"""Fragmentation is the paper's measure, plus what has no cpus left for it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Request, Unknown
from clbalance.policy.placement.fragmentation import STRANDED_WEIGHT, Demand, Fragmentation, FreeGpus, Workload, seen_in
from clbalance.policy.placement.gpu_choice import devices_for, free_gpus, growth
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import policy_named
from tests.policy.build import gpu, lease, node, silent, sweep, unreadable

from .test_place import patient

DEMANDS = st.builds(
    Demand,
    cpus=st.integers(0, 16).map(float),
    gpus=st.just(1),
    gpu_share=st.sampled_from([0.25, 0.5, 1.0]),
    gpu_models=st.sampled_from([frozenset(), frozenset({"A"})]),
) | st.builds(
    Demand,
    cpus=st.integers(0, 16).map(float),
    gpus=st.sampled_from([0, 2, 4]),
    gpu_share=st.just(1.0),
    gpu_models=st.just(frozenset()),
)
DEVICES = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.sampled_from(["A", "B"])), max_size=8)


def by_the_book(workload: Workload, free: FreeGpus) -> float:
    """Straight from the formulas, one demand after the other."""
    expected = gpus = cpus = 0.0
    for demand, popularity in workload.demands:
        big = [share for share, model in free.devices if share >= demand.gpu_share and usable(demand, model)]
        if not demand.gpus or len(big) < demand.gpus or free.cpus < demand.cpus:
            expected += popularity * free.gpus
        else:
            expected += popularity * (free.gpus - sum(big))
        if demand.gpus:
            gpus += popularity * demand.gpus * demand.gpu_share
        cpus += popularity * demand.cpus
    stranded = max(0.0, free.gpus - free.cpus * gpus / cpus) if gpus and cpus else 0.0
    return expected + STRANDED_WEIGHT * stranded


def usable(demand: Demand, model: str) -> bool:
    return not demand.gpu_models or model in demand.gpu_models


@patient
@given(st.lists(DEMANDS, min_size=1, max_size=6), DEVICES, st.integers(0, 32))
def test_the_measure_is_that_of_the_book(demands: list[Demand], devices: list[tuple[float, str]], cpus: int) -> None:
    workload = Workload(tuple((demand, 1 / len(demands)) for demand in demands))
    free = FreeGpus(float(cpus), tuple(sorted(devices)))
    assert Fragmentation(workload).of(free) == pytest.approx(by_the_book(workload, free))


def load_of(**what: object) -> NodeLoad:
    load = effective_load(node("n", **what))  # type: ignore[arg-type]
    assert isinstance(load, NodeLoad)
    return load


def test_growth_is_the_difference_that_the_best_device_makes() -> None:
    measure = Fragmentation(Workload.of([Request(cpus=0, gpus=1), Request(cpus=0, gpus=1, gpu_share=0.5)]))
    load = load_of(gpus=(gpu(0), gpu(1)))
    assert growth(measure, load, Request(cpus=0.0, gpus=1)) == 0.0
    # Half a device is a fragment for those who want a whole one.
    assert growth(measure, load, Request(cpus=0.0, gpus=1, gpu_share=0.5)) == 0.25


def test_what_does_not_fit_changes_nothing() -> None:
    measure = Fragmentation(Workload.of([Request(gpus=1)]))
    assert growth(measure, load_of(gpus=(gpu(0),)), Request(gpus=2)) == 0.0


def test_unknown_gpus_are_an_unknown_growth() -> None:
    load, policy = load_of(gpus=None), policy_named("fgd", workload=Workload.of([Request(gpus=1)]))
    assert isinstance(free_gpus(load), Unknown)
    assert isinstance(growth(Fragmentation(policy.workload), load, Request(gpus=1)), Unknown)
    assert isinstance(devices_for(load, Request(gpus=1, gpu_share=0.5), policy), Unknown)
    assert devices_for(load, Request(), policy) == ()


def test_a_node_without_gpus_has_no_fragments() -> None:
    measure = Fragmentation(Workload.of([Request(gpus=1)]))
    assert measure.of(FreeGpus(4.0, ())) == 0.0
    assert Fragmentation(Workload()).of(FreeGpus(4.0, ((1.0, "A"),))) == 0.0


def test_the_mix_does_not_depend_on_the_order_of_requests() -> None:
    requests = [Request(cpus=float(cpus), gpus=gpus) for cpus, gpus in product(range(3), range(3))]
    assert Workload.of(requests) == Workload.of(reversed(requests))
    assert sum(popularity for _, popularity in Workload.of(requests).demands) == pytest.approx(1.0)
    assert Workload.of([]) == Workload()


def test_what_runs_now_and_what_is_asked_for_are_the_mix_where_nothing_else_is_known() -> None:
    half = lease(cpus=2.0, gpus=("GPU-0",), gpu_share=0.5)
    snapshot = sweep(node("a", leases=(half, half, unreadable())), node("b", leases=None), silent("s"))
    mix = dict(seen_in(snapshot, Request(cpus=1.0)).demands)
    assert mix == {
        Demand(2.0, 1, 0.5, frozenset()): pytest.approx(2 / 3),
        Demand(1.0, 0, 0.0, frozenset()): pytest.approx(1 / 3),
    }
