"""Which devices a request gets, in which order, and how the others are told."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Gpu, Measured, Request
from clbalance.policy.placement.gpus import gpu_candidates
from tests.policy.build import gpu, lease, node, placed, sweep, trend

GIB = 2**30


def sized(index: int, *, used_gib: int = 0, total_gib: int = 80, **given: object) -> Gpu:
    device = gpu(index, **given)  # type: ignore[arg-type]  # passed on as given
    return replace(device, mem_total_bytes=total_gib * GIB, mem_used_bytes=used_gib * GIB)


def why(answer: Measured, **asked: object) -> tuple[str, str]:
    (unfit,) = placed(sweep(answer), **asked).unfit  # type: ignore[arg-type]  # passed on as given
    return unfit.reason, unfit.detail


@pytest.mark.parametrize(
    ("devices", "asked", "got"),
    [
        pytest.param(
            (sized(0, total_gib=16), sized(1, total_gib=80)),
            Request(gpus=1, gpu_mem_bytes=20 * GIB),
            ("GPU-1",),
            id="memory asked for is there on each device",
        ),
        pytest.param(
            (sized(0, used_gib=4),),
            Request(gpus=1, gpu_mem_bytes=77 * GIB),
            (),
            id="what is used is not free, be it the driver's",
        ),
        pytest.param(
            (sized(0, model="A100"), sized(1, model="H100")),
            Request(gpus=1, gpu_models=frozenset({"H100", "H200"})),
            ("GPU-1",),
            id="a model that was asked for",
        ),
        pytest.param((sized(0, fault="Xid 79"),), Request(gpus=1), (), id="a faulty device is never given"),
        pytest.param(
            (sized(0, use=None, parent="GPU-9"), sized(1)), Request(gpus=1), ("GPU-0", "GPU-1"), id="a part is a device"
        ),
        pytest.param(
            (sized(0, parent="GPU-9"), sized(1, parent="GPU-9"), sized(2)),
            Request(gpus=2),
            ("GPU-2",),
            id="several devices are whole ones, for CUDA shows one part only",
        ),
        pytest.param(
            tuple(sized(index, numa=numa) for index, numa in enumerate((0, 1, 0, 1, 1, 1))),
            Request(gpus=2),
            ("GPU-0", "GPU-2", "GPU-1", "GPU-3", "GPU-4", "GPU-5"),
            id="devices of one NUMA node, from the one with the fewest that are enough",
        ),
        pytest.param(
            tuple(sized(index, numa=numa) for index, numa in enumerate((0, 1, 1, 2))),
            Request(gpus=3),
            ("GPU-1", "GPU-2", "GPU-0", "GPU-3"),
            id="from as few NUMA nodes as possible",
        ),
        pytest.param(
            (sized(0), sized(1), sized(2, numa=1), sized(3, numa=1)),
            Request(gpus=2),
            ("GPU-2", "GPU-3", "GPU-0", "GPU-1"),
            id="known to be near each other comes before not known",
        ),
    ],
)
def test_devices_are_offered(devices: tuple[Gpu, ...], asked: Request, got: tuple[str, ...]) -> None:
    assert gpu_candidates(node("n", gpus=devices), asked) == got


def test_the_memory_of_a_share_is_what_others_have_no_share_of() -> None:
    answer = node("n", gpus=(sized(0),), leases=(lease(gpus=("GPU-0",), gpu_share=0.75),))
    quarter = Request(gpus=1, gpu_share=0.25, gpu_mem_bytes=20 * GIB)
    assert gpu_candidates(answer, quarter) == ("GPU-0",)
    assert gpu_candidates(answer, replace(quarter, gpu_mem_bytes=21 * GIB)) == ()


@pytest.mark.parametrize(
    ("answer", "asked", "reason", "detail"),
    [
        pytest.param(
            node("n", gpus=(sized(0, used_gib=4), sized(1, used_gib=70, use=99.0))),
            {"gpus": 1, "gpu_mem_bytes": 77 * GIB},
            "too little GPU memory free",
            "1 requested, 0 of 2 free with 77 GiB: GPU 0 free (H100, 76 GiB free)",
            id="too little memory on what is free",
        ),
        pytest.param(
            node("n", gpus=(sized(0), sized(1))),
            {"gpus": 1, "gpu_models": frozenset({"A100"})},
            "too few GPUs of that model",
            "1 requested, 0 of 2 free: GPU 0 free (H100, 80 GiB free), GPU 1 free (H100, 80 GiB free)",
            id="another model",
        ),
        pytest.param(
            node("n", gpus=(replace(sized(0, parent="GPU-9"), uuid="MIG-12345678-9"), sized(1))),
            {"gpus": 2},
            "too few whole GPUs",
            "2 requested, 1 of 2 free: GPU 0 part MIG-12345678 free (H100, 80 GiB free)",
            id="a part among several",
        ),
        pytest.param(
            node("n", gpus=(), trends={}),
            {"gpus": 1},
            "too few GPUs free",
            "1 requested, 0 of 0 free",
            id="none at all",
        ),
        pytest.param(
            node("n", gpus=tuple(sized(index, use=90.0) for index in range(6))),
            {"gpus": 1},
            "too few GPUs free",
            "1 requested, 0 of 6 free: GPU 0 busy (90% used), GPU 1 busy (90% used), GPU 2 busy (90% used),"
            " GPU 3 busy (90% used), and 2 more",
            id="many are not all told",
        ),
        pytest.param(
            node(
                "n",
                gpus=(sized(0, used_gib=30), sized(1, fault="2 uncorrected ECC errors")),
                trends={"gut_pct GPU-0": trend(0.0), "gmem_pct GPU-0": trend(37.0)},
            ),
            {"gpus": 1},
            "too few GPUs free",
            "1 requested, 0 of 2 free: GPU 0 held idle (30 GiB held, at most 0% used at 5 looks over 60 min),"
            " GPU 1 faulty (2 uncorrected ECC errors)",
            id="held idle and faulty are told apart",
        ),
    ],
)
def test_why_a_node_has_too_few(answer: Measured, asked: dict[str, object], reason: str, detail: str) -> None:
    assert why(answer, **asked) == (reason, detail)


fleets = st.lists(
    st.builds(
        lambda index, **given: (index, given),
        st.integers(0, 7),
        used=st.sampled_from([0, 2, 60]),
        use=st.sampled_from([0.0, 3.0, 80.0, None]),
        held=st.booleans(),
        numa=st.sampled_from([None, 0, 1]),
        parent=st.sampled_from(["", "GPU-9"]),
        fault=st.sampled_from(["", "Xid 48"]),
    ),
    max_size=8,
    unique_by=lambda one: one[0],
)
requests = st.builds(
    Request, gpus=st.integers(1, 4), gpu_mem_bytes=st.sampled_from([0, 40, 79]), gpu_share=st.just(1.0)
)


@settings(deadline=None)
@given(fleets, requests, st.randoms(use_true_random=False))
def test_what_is_offered_is_healthy_unused_and_the_same_in_any_order(
    fleet: object, asked: Request, rng: object
) -> None:
    devices = [gpu(index, **given) for index, given in fleet]  # type: ignore[attr-defined]
    shuffled = list(devices)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    got = gpu_candidates(node("n", gpus=tuple(devices)), asked)
    assert got == gpu_candidates(node("n", gpus=tuple(shuffled)), asked)
    for device in devices:
        if device.uuid in got:
            assert not device.fault
            assert not device.processes
            assert device.mem_total_bytes - device.mem_used_bytes >= asked.gpu_mem_bytes
            assert asked.gpus == 1 or not device.parent


@settings(deadline=None)
@given(fleets, st.integers(2, 4))
def test_devices_of_one_numa_node_come_first_where_one_has_enough(fleet: object, count: int) -> None:
    devices = {f"GPU-{index}": gpu(index, **given) for index, given in fleet}  # type: ignore[attr-defined]
    got = gpu_candidates(node("n", gpus=tuple(devices.values())), Request(gpus=count))
    assert isinstance(got, tuple)
    nodes = [devices[uuid].numa_node for uuid in got]
    if any(isinstance(numa, int) and nodes.count(numa) >= count for numa in nodes):
        assert len(set(map(repr, nodes[:count]))) == 1
