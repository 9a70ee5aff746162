"""Kubernetes' classes, of requests and of leases alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Allocation, Qos, Request
from clbalance.policy.jobs.record import qos_of
from clbalance.policy.placement.charge import allocation_for
from clbalance.policy.placement.policies import LEAST
from tests.policy.build import node

G = 2**30


@pytest.mark.parametrize(
    ("asked", "qos"),
    [
        pytest.param(Request(cpus=0), Qos.BEST_EFFORT, id="nothing asked and nothing limited is best effort"),
        pytest.param(Request(cpus=0, gpus=2, exclusive=True), Qos.BEST_EFFORT, id="GPUs do not count"),
        pytest.param(Request(), Qos.BURSTABLE, id="a plain job asks for one cpu"),
        pytest.param(Request(cpus=0, mem_bytes=G), Qos.BURSTABLE, id="memory alone is something"),
        pytest.param(Request(cpus=0, limit_cpus=2), Qos.BURSTABLE, id="so is a limit"),
        pytest.param(
            Request(cpus=2, mem_bytes=G, limit_cpus=2, limit_mem_bytes=G), Qos.GUARANTEED, id="limited to what it asks"
        ),
        pytest.param(
            Request(cpus=2, mem_bytes=G, limit_cpus=3, limit_mem_bytes=G), Qos.BURSTABLE, id="room above in cpus"
        ),
        pytest.param(
            Request(cpus=2, mem_bytes=G, limit_cpus=2, limit_mem_bytes=2 * G), Qos.BURSTABLE, id="room above in memory"
        ),
        pytest.param(Request(cpus=2, mem_bytes=G, limit_cpus=2), Qos.BURSTABLE, id="no limit of memory"),
        pytest.param(Request(cpus=2, limit_cpus=2), Qos.BURSTABLE, id="cpus alone guarantee nothing"),
    ],
)
def test_the_class_is_kubernetes_own(asked: Request, qos: Qos) -> None:
    assert qos_of(asked) is qos


sizes = st.sampled_from([0, 1, G])


@given(st.sampled_from([0.0, 1.0, 2.5]), sizes, st.sampled_from([None, 1.0, 2.5]), st.sampled_from([None, 1, G]))
def test_a_lease_is_of_the_class_of_its_request(
    cpus: float, mem_bytes: int, limit_cpus: float | None, limit_mem_bytes: int | None
) -> None:
    request = Request(cpus=cpus, mem_bytes=mem_bytes, limit_cpus=limit_cpus, limit_mem_bytes=limit_mem_bytes)
    allocation: Allocation = allocation_for(request, node("n"), LEAST)
    assert qos_of(allocation) is qos_of(request)
