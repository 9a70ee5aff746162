"""Placement and a node's own admission count alike: a refusal is a race, not a difference of opinion."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Promise
from clbalance.node.agent import capacity as node
from clbalance.node.agent.limits import TAU_S as NODE_TAU_S
from clbalance.node.agent.marks import Lease
from clbalance.policy.capacity import free_cpus, free_mem_bytes
from clbalance.policy.ledger import TAU_S, add_up

UPTIME_S = 1e5
promises = st.lists(
    st.builds(
        Promise,
        cpus=st.floats(0.0, 64.0),
        mem_bytes=st.integers(0, 2**40),
        uptime_s=st.floats(0.0, UPTIME_S + 100.0),
    ),
    max_size=6,
)


def told_to_the_node(held: list[Promise]) -> list[Lease]:
    return [Lease(1000, {"cpus": one.cpus, "mem_bytes": one.mem_bytes, "uptime_s": one.uptime_s}) for one in held]


@settings(deadline=None)
@given(promises, st.integers(1, 128), st.floats(0.0, 200.0))
def test_free_cpus_are_the_nodes_own(held: list[Promise], capacity: int, r1m: float) -> None:
    measured = node.Measured(capacity, r1m, UPTIME_S, 1, 1)
    ledger = add_up(held, UPTIME_S)
    ours = free_cpus(capacity=capacity, r1m=r1m, promised=ledger.cpus, visible=ledger.visible_cpus)
    assert ours == pytest.approx(node.free_cpus(capacity, told_to_the_node(held), measured), abs=1e-6)


@settings(deadline=None)
@given(promises, st.integers(0, 2**42), st.floats(0.0, 1.0))
def test_free_memory_is_the_nodes(held: list[Promise], total: int, share: float) -> None:
    available = int(total * share)
    measured = node.Measured(1, 0.0, UPTIME_S, total, available)
    ledger = add_up(held, UPTIME_S)
    ours = free_mem_bytes(total=total, available=available, promised=ledger.mem_bytes, visible=ledger.visible_mem_bytes)
    assert ours == pytest.approx(node.free_mem(told_to_the_node(held), measured), abs=1.0)


def test_leases_come_into_view_at_the_same_pace() -> None:
    assert NODE_TAU_S == TAU_S
