"""What a job sees of its node's GPUs if it asks for none, and how MPS keeps the share of one that asks for a part."""

from dataclasses import replace

import pytest

from clbalance.model import Gpu, GpuProcess, Lease, Measured, Request, Unknown
from clbalance.model.request import HiddenGpus
from clbalance.policy.placement.gpu_choice import mps_limits, unread_gpus, visible_gpus
from clbalance.policy.placement.gpus import gpu_candidates
from tests.policy.build import NOT_TOLD, gpu, lease, node

LEASED, USED, NEVER = HiddenGpus.LEASED, HiddenGpus.USED, HiddenGpus.NEVER
ANY = Request()


def running(one: Gpu, *processes: tuple[int, str]) -> Gpu:
    return replace(one, processes=tuple(GpuProcess(pid=pid, name=name, mem_bytes=1) for pid, name in processes))


def seen(
    *gpus: Gpu, hidden: HiddenGpus = LEASED, asked: Request = ANY, leases: tuple[Lease, ...] = ()
) -> dict[str, list[int]] | None:
    return visible_gpus(node("n", gpus=gpus, leases=leases), asked, hidden)


def test_devices_are_offered_by_their_index_and_the_node_takes_out_what_is_leased() -> None:
    assert seen(gpu(1), gpu(0)) == {"GPU-0": [], "GPU-1": []}
    assert list(seen(gpu(1), gpu(0)) or ()) == ["GPU-0", "GPU-1"]


def test_what_strangers_use_is_seen_unless_that_is_to_be_hidden_too() -> None:
    devices = (running(gpu(0), (7, "train"), (8, "notebook")), gpu(1))
    assert seen(*devices) == {"GPU-0": [], "GPU-1": []}
    assert seen(*devices, hidden=USED) == {"GPU-0": [7, 8], "GPU-1": []}


@pytest.mark.parametrize(
    "used",
    [
        pytest.param(gpu(0, use=90.0), id="without a process that is told"),
        pytest.param(gpu(0, used=60), id="memory alone"),
        pytest.param(gpu(0, use=None), id="unknown use"),
        pytest.param(replace(gpu(0), processes=NOT_TOLD), id="unknown processes"),
    ],
)
def test_what_may_be_used_by_a_stranger_is_not_taken_for_ones_own(used: Gpu) -> None:
    assert seen(used, hidden=USED) == {"GPU-0": [0]}
    assert seen(used, hidden=USED, leases=(lease(gpus=("GPU-0",)),)) == {"GPU-0": []}


def test_a_faulty_device_is_not_shown() -> None:
    assert seen(gpu(0, fault="GPU is lost"), gpu(1)) == {"GPU-1": []}
    assert seen(gpu(0, fault="GPU is lost")) == {}


@pytest.mark.parametrize("asked", [Request(gpus=1), Request(gpus=1, gpu_share=0.5), Request(exclusive=True)])
def test_who_has_devices_or_the_whole_node_is_not_restricted(asked: Request) -> None:
    assert seen(gpu(0), asked=asked) is None
    assert unread_gpus(node("n", gpus=None), asked, LEASED) == ""


def test_nothing_is_hidden_where_there_is_nothing_or_where_that_is_set() -> None:
    assert seen() is None
    assert seen(gpu(0), hidden=NEVER) is None


def test_gpus_that_cannot_be_read_are_told() -> None:
    unread = node("n", gpus=None)
    assert visible_gpus(unread, ANY, LEASED) is None
    assert unread_gpus(unread, ANY, LEASED) == "not told"
    assert unread_gpus(unread, ANY, NEVER) == unread_gpus(node("n"), ANY, LEASED) == ""


# -- MPS

SERVER = (99, "nvidia-cuda-mps-server")


def under_mps(*gpus: Gpu, mps: bool | Unknown = True) -> Measured:
    answer = node("n", gpus=gpus)
    return replace(answer, reading=replace(answer.reading, gpu_mps=mps))


def test_where_mps_runs_a_share_is_a_limit() -> None:
    device = replace(gpu(0), mem_total_bytes=80 << 30)
    assert mps_limits(under_mps(device), ["GPU-0"], 0.25) == {
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=20480M",
    }
    assert mps_limits(under_mps(device), ["GPU-0"], 0.001)["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "1"
    assert "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT" not in mps_limits(
        under_mps(replace(device, mem_total_bytes=NOT_TOLD)), ["GPU-0"], 0.5
    )


def test_whole_devices_and_other_nodes_have_no_limit() -> None:
    assert mps_limits(under_mps(gpu(0)), ["GPU-0"], 1.0) == {}
    assert mps_limits(under_mps(gpu(0), mps=False), ["GPU-0"], 0.5) == {}
    assert mps_limits(under_mps(gpu(0), mps=NOT_TOLD), ["GPU-0"], 0.5) == {}
    assert mps_limits(under_mps(gpu(0)), ["GPU-7"], 0.5) == {}


def test_the_server_of_mps_is_no_stranger() -> None:
    idle = running(gpu(0, used=1), SERVER)
    assert gpu_candidates(node("n", gpus=(idle,))) == ("GPU-0",)
    assert gpu_candidates(node("n", gpus=(running(gpu(0), SERVER, (7, "train")),))) == ()
    assert seen(idle, hidden=USED) == {"GPU-0": []}
    assert seen(running(gpu(0), SERVER, (7, "train")), hidden=USED) == {"GPU-0": [7]}
