"""Which cpus are near which GPU."""

from dataclasses import replace

import pytest

from clbalance.model import Cpus, Measured, NumaNode
from clbalance.policy.placement.gpu_choice import cpulist, cpus_near
from tests.policy.build import gpu, node


def two_domains(answer: Measured) -> Measured:
    domains = (NumaNode(id=0, cpus=(0, 1, 4, 5)), NumaNode(id=1, cpus=(2, 3, 6)))
    return replace(answer, reading=replace(answer.reading, cpus=Cpus(online=7, model="m", numa=domains)))


def test_those_of_its_numa_node() -> None:
    answer = two_domains(node("n", gpus=(gpu(0, numa=1), gpu(1, numa=0), gpu(2), gpu(3, numa=9))))
    uuids = [f"GPU-{number}" for number in range(5)]
    assert cpus_near(answer, uuids) == ["2-3,6", "0-1,4-5", "", "", ""]


@pytest.mark.parametrize("answer", [node("n", cpus=None, gpus=(gpu(0, numa=0),)), node("n", gpus=None)])
def test_none_where_that_is_not_known(answer: Measured) -> None:
    assert cpus_near(answer, ["GPU-0"]) == [""]


def test_ids_are_written_as_the_kernel_writes_them() -> None:
    assert cpulist([]) == ""
    assert cpulist([8, 0, 1, 3]) == "0-1,3,8"
