"""What a sweep leaves behind of a node."""

from dataclasses import replace

from clbalance.model import Cpus
from clbalance.policy.indices.samples import index_values
from tests.policy.build import gpu, node


def test_what_is_known_is_looked_at() -> None:
    answer = node("n", r1m=2.0, cpus=4, ut=30.0, gpus=(gpu(0, used=40, use=7.0, held=True), gpu(1, use=None)))
    assert index_values(answer) == {
        "r1m_per_cpu": 0.5,
        "ut_pct": 30.0,
        "gmem_pct GPU-0": 50.0,
        "gprocs GPU-0": 1.0,
        "gut_pct GPU-0": 7.0,
        "gmem_pct GPU-1": 0.0,
        "gprocs GPU-1": 0.0,
    }


def test_what_is_unknown_is_never_a_zero() -> None:
    assert index_values(node("n", r1m=None, ut=None, gpus=None)) == {}
    assert index_values(node("n", cpus=None, ut=None)) == {}
    nothing = node("n", ut=None)
    assert index_values(replace(nothing, reading=replace(nothing.reading, cpus=Cpus(online=0, model="m")))) == {}
