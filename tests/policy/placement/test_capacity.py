"""What a node can still promise: the rules of docs/design/leases.md, one case each."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Allocation, Gpu, Measured, Request, Unknown
from clbalance.policy.placement.gpus import gpu_candidates, looks_free
from clbalance.policy.placement.load import NOISE_CPUS, free_cpus, free_mem_bytes
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import NOT_TOLD, gpu, lease, node, placed, sweep, unreadable

patient = settings(deadline=None)
UNLIMITED = Policy(thresholds=Thresholds(r1m_per_cpu=None, mem_available_pct=None))
OLD = 3600.0


def told(answer: Measured, **asked: object) -> tuple[str, str, str] | None:
    """The filter, the reason and the numbers, or None where it fits."""
    plan = placed(sweep(answer), policy=UNLIMITED, **asked)  # type: ignore[arg-type]  # passed on as given
    if plan.chosen:
        return None
    (unfit,) = plan.unfit
    return unfit.filter, unfit.reason, unfit.detail


@pytest.mark.parametrize(
    ("answer", "asked", "lack"),
    [
        pytest.param(
            node("n", leases=(lease(cpus=3.0),)),
            {"cpus": 2.0},
            ("cpus", "too few cpus free", "2 requested, 1 of 4 free, 3 allocated"),
            id="what is promised is not promised again",
        ),
        pytest.param(node("n", leases=(lease(cpus=3.0),)), {"cpus": 1.0}, None, id="the last cpu may be had"),
        pytest.param(
            node("n", r1m=3.0, leases=(lease(cpus=3.0, age_s=OLD),)),
            {"cpus": 1.0},
            None,
            id="load that is a lease's own counts once",
        ),
        pytest.param(
            node("n", r1m=2.5, leases=(lease(cpus=2.0, age_s=0.0),)),
            {"cpus": 1.0},
            ("cpus", "too few cpus free", "1 requested, 0 of 4 free, 2 allocated"),
            id="load that was there before a lease is a stranger's",
        ),
        pytest.param(
            node("n", r1m=3.9),
            {"cpus": 1.0},
            ("cpus", "too few cpus free", "1 requested, 0.6 of 4 free, 0 allocated"),
            id="a stranger's processes take cpus without a lease",
        ),
        pytest.param(node("n", r1m=0.3), {"cpus": 4.0}, None, id="an idle node's own processes take none"),
        pytest.param(
            node("n", debt=3.5), {"cpus": 1.0}, ("cpus", "too few cpus free", "1 requested, 0.5 of 4 free, 3.5 allocated"),
            id="what was placed a moment ago is taken",
        ),
        pytest.param(
            node("n", r1m=50.0, leases=(lease(cpus=4.0),)), {"cpus": 0.0}, None, id="who asks for nothing fits anywhere"
        ),
        pytest.param(
            node("n", leases=(lease(mem_bytes=600_000),)),
            {"mem_bytes": 500_000},
            ("memory", "too little memory free", "0.000466 GiB requested, 0.000279 GiB of 0.000931 GiB free, 0.000559 GiB allocated"),
            id="memory that is promised and not yet used is not free",
        ),
        pytest.param(
            node("n", mem=40.0, leases=(lease(mem_bytes=600_000, age_s=OLD),)),
            {"mem_bytes": 400_000},
            None,
            id="memory that a lease uses counts once",
        ),
        pytest.param(
            node("n", mem=40.0),
            {"mem_bytes": 400_001},
            ("memory", "too little memory free", "0.000373 GiB requested, 0.000373 GiB of 0.000931 GiB free, 0 GiB allocated"),
            id="what is not available is never promised",
        ),
        pytest.param(
            node("n", gpus=(gpu(0), gpu(1))),
            {"gpus": 3},
            ("gpus", "too few GPUs free", "3 requested, 2 of 2 free"),
            id="more GPUs than there are",
        ),
        pytest.param(
            node("n", gpus=(gpu(0), gpu(1)), leases=(lease(gpus=("GPU-1",)),)),
            {"gpus": 2},
            ("gpus", "too few GPUs free", "2 requested, 1 of 2 free: GPU 1 busy (leased)"),
            id="a leased GPU is taken though it looks free",
        ),
        pytest.param(
            node("n", gpus=(gpu(0, held=True),)),
            {"gpus": 1},
            ("gpus", "too few GPUs free", "1 requested, 0 of 1 free: GPU 0 busy (0 GiB held by train (pid 4711))"),
            id="a GPU with a stranger on it is taken though nobody leased it",
        ),
        pytest.param(
            node("n", gpus=(gpu(0),), leases=(lease(gpus=("GPU-0",), gpu_share=0.5),)),
            {"gpus": 1},
            ("gpus", "too few GPUs free", "1 requested, 0 of 1 free: GPU 0 shared (50% leased)"),
            id="a whole GPU is one of which nobody has a share",
        ),
        pytest.param(
            node("n", gpus=(gpu(0, held=True), gpu(1)), leases=(lease(gpus=("GPU-1",), gpu_share=0.8),)),
            {"gpus": 1, "gpu_share": 0.25},
            (
                "gpus",
                "no GPU has room",
                "0.25 of one requested, none of 2 has that free: GPU 0 busy (0 GiB held by train (pid 4711)), GPU 1 shared (80% leased)",
            ),
            id="shares of a device are never more than all of it",
        ),
        pytest.param(
            node("n", gpus=None), {"gpus": 1}, ("gpus", "GPUs unknown", "not told"), id="unknown GPUs are not free ones"
        ),
        pytest.param(node("n", gpus=None), {}, None, id="GPUs are looked at only where they are asked for"),
        pytest.param(
            node("n", slots=2, leases=(lease(slots=1),)),
            {"slots": 2},
            ("slots", "too few slots free", "2 requested, 1 of 2 free"),
            id="slots are counted where somebody gave the node some",
        ),
        pytest.param(node("n", leases=(lease(slots=99),)), {"slots": 2}, None, id="and not elsewhere"),
        pytest.param(
            node("n", leases=(lease(exclusive=True),)),
            {"cpus": 0.0},
            ("exclusive", "allocated whole", "by uid 1001: exclusive"),
            id="an exclusive lease keeps out even who asks for nothing",
        ),
        pytest.param(
            node("n", leases=(lease(), lease())),
            {"exclusive": True},
            ("exclusive", "not empty", "2 leases held"),
            id="an exclusive request wants an empty node",
        ),
        pytest.param(
            node("n", leases=(unreadable(),)),
            {},
            ("exclusive", "allocated whole", "by uid 1001: unreadable lease: no JSON"),
            id="a lease that cannot be read is the whole node",
        ),
        pytest.param(
            node("n", leases=(lease(cpus=5.0),)),
            {"cpus": 0.0},
            ("exclusive", "allocated whole", "by uid 1001: more than the node has"),
            id="a lease of more cpus than there are is the whole node",
        ),
        pytest.param(
            node("n", leases=(lease(mem_bytes=10**7),)),
            {},
            ("exclusive", "allocated whole", "by uid 1001: more than the node has"),
            id="a lease of more memory than there is is the whole node",
        ),
        pytest.param(
            node("n", leases=None),
            {},
            ("leases", "leases unknown", "not told"),
            id="unknown leases are not none",
        ),
        pytest.param(node("n", leases=None), {"cpus": 0.0}, None, id="who asks for nothing need not know the leases"),
    ],
)  # fmt: skip
def test_a_node_promises(answer: Measured, asked: dict[str, object], lack: tuple[str, str, str] | None) -> None:
    assert told(answer, **asked) == lack


def test_an_exclusive_placement_is_alone_until_it_shows() -> None:
    charged = placed(sweep(node("n")), exclusive=True).charged
    assert placed(charged).unfit[0].detail == "by a job placed a moment ago"


def test_placing_charges_cpus_memory_slots_and_the_best_gpus() -> None:
    answer = node("n", gpus=(gpu(0, used=2), gpu(1), gpu(2)))
    plan = placed(sweep(answer), cpus=1.5, mem_bytes=7, gpus=2, slots=3)
    (charged,) = plan.charged.answers
    assert isinstance(charged, Measured)
    assert charged.placed == (Allocation(cpus=1.5, mem_bytes=7, gpus=("GPU-1", "GPU-2"), slots=3, uptime_s=1000.0),)
    assert gpu_candidates(charged) == ("GPU-0",)


def test_what_is_placed_on_a_node_of_unknown_uptime_counts_in_full() -> None:
    answer = node("n")
    timeless = replace(answer, reading=replace(answer.reading, uptime_s=NOT_TOLD, leases=(lease(cpus=2.0, age_s=OLD),)))
    (charged,) = placed(sweep(timeless)).charged.answers
    assert told(replace(charged, placed=()), cpus=3.0) == (
        "cpus",
        "too few cpus free",
        "3 requested, 2 of 4 free, 2 allocated",
    )  # type: ignore[type-var]  # a node that answered


def test_gpus_are_offered_by_free_memory_then_by_index() -> None:
    answer = node("n", gpus=(gpu(0, used=4), gpu(1), gpu(2, use=90.0), gpu(3), gpu(4, use=None)))
    assert gpu_candidates(answer) == ("GPU-1", "GPU-3", "GPU-0")
    assert gpu_candidates(node("n", gpus=None)) == Unknown(reason="not told")


@pytest.mark.parametrize(
    ("device", "free"),
    [
        pytest.param(gpu(), True, id="idle, empty and nobody's"),
        pytest.param(gpu(used=4, use=5.0), True, id="the driver's own memory and a flicker do not count"),
        pytest.param(gpu(used=20), False, id="held memory counts though nothing computes"),
        pytest.param(gpu(use=90.0), False, id="use counts though no process is told"),
        pytest.param(gpu(held=True), False, id="a process counts though it is idle"),
        pytest.param(gpu(use=None), False, id="unknown is never idle"),
    ],
)
def test_which_gpu_looks_free(device: object, free: bool) -> None:
    assert looks_free(device) is free  # type: ignore[arg-type]


amounts = st.floats(0.0, 64.0)


@patient
@given(st.integers(1, 64), amounts, amounts, st.floats(0.0, 1.0), amounts, st.floats(0.0, 1.0))
def test_one_more_lease_never_frees_cpus(
    capacity: int, r1m: float, promised: float, shown: float, more: float, more_shown: float
) -> None:
    visible = promised * shown
    before = free_cpus(capacity=capacity, r1m=r1m, allocated=promised, reflected=visible)
    after = free_cpus(capacity=capacity, r1m=r1m, allocated=promised + more, reflected=visible + more * more_shown)
    assert after <= before + 1e-9


@patient
@given(st.integers(1, 64), amounts, st.floats(0.0, 1.0), amounts)
def test_promises_never_pass_capacity_whatever_the_load(
    capacity: int, promised: float, shown: float, r1m: float
) -> None:
    free = free_cpus(capacity=capacity, r1m=r1m, allocated=promised, reflected=promised * shown)
    assert free <= capacity - promised
    assert free_cpus(capacity=capacity, r1m=promised * shown, allocated=promised, reflected=promised * shown) == (
        capacity - promised
    )


@patient
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_memory_beyond_what_is_available_is_never_free(total: int, share: int, promised: int, shown: float) -> None:
    available = total * share // 1000
    free = free_mem_bytes(total=total, available=available, allocated=promised, reflected=promised * shown)
    assert free <= available
    assert free <= total - promised


def test_the_allowance_is_below_one_process() -> None:
    assert 0.0 <= NOISE_CPUS < 1.0


HALF = Request(gpus=1, gpu_share=0.5)
HALF_LEASED = (lease(gpus=("GPU-0",), gpu_share=0.5),)


@pytest.mark.parametrize(
    ("device", "fits"),
    [
        pytest.param(gpu(used=0), True, id="its leases need not use it yet"),
        pytest.param(gpu(used=44, use=100.0, held=True), True, id="what runs there is its leases' own"),
        pytest.param(gpu(used=45, held=True), False, id="but not what uses more memory than they were promised"),
        pytest.param(gpu(used=44, use=None, held=True), True, id="nor is its use looked at"),
    ],
)
def test_a_shared_gpu_is_shared_on_while_its_leases_account_for_it(device: Gpu, fits: bool) -> None:
    assert bool(gpu_candidates(node("n", gpus=(device,), leases=HALF_LEASED), HALF)) is fits


def test_shares_go_to_the_fullest_device_that_has_room_so_that_whole_ones_stay() -> None:
    devices = tuple(gpu(index) for index in range(4))
    held = tuple(lease(gpus=(f"GPU-{index}",), gpu_share=part) for index, part in ((1, 0.5), (2, 0.7), (3, 0.9)))
    answer = node("n", gpus=devices, leases=held)
    assert gpu_candidates(answer, Request(gpus=1, gpu_share=0.25)) == ("GPU-2", "GPU-1", "GPU-0")
    assert gpu_candidates(answer) == ("GPU-0",)


def test_a_share_that_was_placed_a_moment_ago_is_filled_up_by_the_next() -> None:
    plan = placed(sweep(node("n", gpus=(gpu(0), gpu(1)))), gpus=1, gpu_share=0.5)
    (answer,) = plan.charged.answers
    assert isinstance(answer, Measured)
    assert gpu_candidates(answer, HALF) == ("GPU-0", "GPU-1")
    assert gpu_candidates(answer) == ("GPU-1",)
