"""Placement and a node's own admission count alike: a refusal is a race, not a difference of opinion."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Allocation, Request
from clbalance.node.agent.lease import capacity as agent
from clbalance.node.agent.lease.files import Lease
from clbalance.node.agent.protocol import TAU_S as THEIR_TAU_S
from clbalance.policy.allocations import TAU_S, add_up
from clbalance.policy.placement.gpus import gpu_candidates
from clbalance.policy.placement.load import free_cpus, free_mem_bytes
from tests.policy.build import gpu, lease, node

UPTIME_S = 1e5
promises = st.lists(
    st.builds(
        Allocation,
        cpus=st.floats(0.0, 64.0),
        mem_bytes=st.integers(0, 2**40),
        uptime_s=st.floats(0.0, UPTIME_S + 100.0),
    ),
    max_size=6,
)


shares = st.one_of(st.just(1.0), st.sampled_from([0.25, 1 / 3, 0.5]), st.floats(0.01, 0.99))


def told_to_the_node(held: list[Allocation]) -> list[Lease]:
    return [Lease(1000, {"cpus": one.cpus, "mem_bytes": one.mem_bytes, "uptime_s": one.uptime_s}) for one in held]


@settings(deadline=None)
@given(promises, st.integers(1, 128), st.floats(0.0, 200.0))
def test_free_cpus_are_the_nodes_own(held: list[Allocation], capacity: int, r1m: float) -> None:
    measured = agent.Measured(capacity, r1m, UPTIME_S, 1, 1)
    allocations = add_up(held, UPTIME_S)
    ours = free_cpus(capacity=capacity, r1m=r1m, allocated=allocations.cpus, reflected=allocations.reflected_cpus)
    assert ours == pytest.approx(agent.free_cpus(capacity, told_to_the_node(held), measured), abs=1e-6)


@settings(deadline=None)
@given(promises, st.integers(0, 2**42), st.floats(0.0, 1.0))
def test_free_memory_is_the_nodes(held: list[Allocation], total: int, share: float) -> None:
    available = int(total * share)
    measured = agent.Measured(1, 0.0, UPTIME_S, total, available)
    allocations = add_up(held, UPTIME_S)
    ours = free_mem_bytes(
        total=total, available=available, allocated=allocations.mem_bytes, reflected=allocations.reflected_mem_bytes
    )
    assert ours == pytest.approx(agent.free_mem(told_to_the_node(held), measured), abs=1.0)


def test_leases_come_into_view_at_the_same_pace() -> None:
    assert THEIR_TAU_S == TAU_S


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), shares), max_size=8), shares)
def test_the_gpu_that_placement_expects_is_the_one_that_the_node_grants(
    held: list[tuple[int, float]], share: float
) -> None:
    devices = tuple(gpu(index) for index in range(3))
    leases = tuple(lease(gpus=(devices[index].uuid,), gpu_share=part) for index, part in held)
    ours = gpu_candidates(node("n", gpus=devices, leases=leases), Request(gpus=1, gpu_share=share))
    assert isinstance(ours, tuple)
    asked = {"cpus": 0, "mem_bytes": 0, "gpu_count": 1, "gpu_share": share, "slots": 1, "exclusive": False}
    theirs = [Lease(1000, {"gpus": [devices[index].uuid], "gpu_share": part}) for index, part in held]
    all_of_them = agent.Wish(asked | {"gpu_candidates": [one.uuid for one in devices]}, {})
    if not ours:
        with pytest.raises(agent.LackError):
            agent.free_gpus(all_of_them, theirs)
        return
    assert agent.free_gpus(agent.Wish(asked | {"gpu_candidates": list(ours)}, {}), theirs) == [ours[0]]
    (granted,) = agent.free_gpus(all_of_them, theirs)
    assert granted in ours
