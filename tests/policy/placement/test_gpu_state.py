"""What a GPU is: one case for each state, and why it is no other."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Gpu, GpuProcess, Trend
from clbalance.policy.placement.gpus import GpuState, gpu_condition, has_place, looks_free
from tests.policy.build import NOT_TOLD, gpu, trend

GUT, GMEM, GPROCS = "gut_pct GPU-0", "gmem_pct GPU-0", "gprocs GPU-0"
IDLE_FOR_AN_HOUR = {GUT: trend(1.0), GMEM: trend(50.0), GPROCS: trend(1.0)}
LARGE = replace(gpu(held=True), mem_total_bytes=80 * 2**30, mem_used_bytes=30 * 2**30)


@pytest.mark.parametrize(
    ("device", "held", "trends", "state", "reason"),
    [
        pytest.param(gpu(), 0.0, {}, "free", "", id="nobody is there"),
        pytest.param(gpu(used=4, use=5.0), 0.0, {}, "free", "", id="the driver's own memory and a flicker do not count"),
        pytest.param(gpu(use=6.0), 0.0, {}, "busy", "6% used", id="use counts though no process is told"),
        pytest.param(
            replace(LARGE, use_pct=95.0),
            0.0,
            IDLE_FOR_AN_HOUR,
            "busy",
            "95% used, 30 GiB held by train (pid 4711)",
            id="who computes now is busy, however idle it was",
        ),
        pytest.param(
            LARGE, 0.0, {}, "busy", "30 GiB held by train (pid 4711)", id="idle at one glance is not held idle"
        ),
        pytest.param(
            LARGE,
            0.0,
            IDLE_FOR_AN_HOUR,
            "held idle",
            "30 GiB held by train (pid 4711), at most 1% used at 5 looks over 60 min",
            id="memory held and nothing computed",
        ),
        pytest.param(
            replace(LARGE, processes=()),
            0.0,
            IDLE_FOR_AN_HOUR,
            "held idle",
            "30 GiB held, at most 1% used at 5 looks over 60 min",
            id="whoever holds it",
        ),
        pytest.param(
            gpu(held=True),
            0.0,
            {GUT: trend(0.0), GMEM: trend(1.0), GPROCS: trend(1.0)},
            "held idle",
            "0 GiB held by train (pid 4711), at most 0% used at 5 looks over 60 min",
            id="a process holds a device with little memory too",
        ),
        pytest.param(
            LARGE,
            0.0,
            {GUT: trend(1.0, count=2), GMEM: trend(50.0)},
            "busy",
            "30 GiB held by train (pid 4711)",
            id="two looks are too few",
        ),
        pytest.param(
            LARGE,
            0.0,
            {GUT: trend(1.0, span_s=599.0), GMEM: trend(50.0)},
            "busy",
            "30 GiB held by train (pid 4711)",
            id="ten minutes are the least",
        ),
        pytest.param(
            LARGE,
            0.0,
            {GUT: trend(6.0), GMEM: trend(50.0)},
            "busy",
            "30 GiB held by train (pid 4711)",
            id="one busy look is enough to be busy",
        ),
        pytest.param(
            LARGE,
            0.0,
            {GUT: trend(0.0), GMEM: trend(50.0, least=0.0), GPROCS: trend(1.0, least=0.0)},
            "busy",
            "30 GiB held by train (pid 4711)",
            id="who has just come is not held idle because nobody was there before",
        ),
        pytest.param(
            LARGE, 0.0, {GUT: trend(0.0)}, "busy", "30 GiB held by train (pid 4711)", id="held at every look, or not known"
        ),
        pytest.param(gpu(use=None), 0.0, {}, "unknown", "use unknown: not told", id="unknown is never idle"),
        pytest.param(gpu(use=None, parent="GPU-9"), 0.0, {}, "free", "", id="the use of a part is never told"),
        pytest.param(
            gpu(use=None, parent="GPU-9", held=True),
            0.0,
            {},
            "busy",
            "0 GiB held by train (pid 4711)",
            id="but who holds it is",
        ),
        pytest.param(gpu(used=40, held=True), 0.5, {}, "shared", "50% leased", id="what was promised may be used"),
        pytest.param(gpu(used=44), 0.5, {}, "shared", "50% leased", id="and a little for the driver"),
        pytest.param(
            gpu(used=60), 0.5, {}, "busy", "50% leased, 75% of its memory used", id="a stranger beside a share is seen"
        ),
        pytest.param(gpu(), 1.0, {}, "busy", "leased", id="leased, though nothing runs yet"),
        pytest.param(gpu(), 1.0 / 3 + 1.0 / 3 + 1.0 / 3, {}, "busy", "leased", id="three thirds are a whole"),
        pytest.param(gpu(fault="Xid 79"), 0.0, {}, "faulty", "Xid 79", id="a fault says more than idleness"),
        pytest.param(gpu(fault="Xid 79", used=80), 1.0, {}, "faulty", "Xid 79", id="or than who has it"),
    ],
)  # fmt: skip
def test_a_device_is(device: Gpu, held: float, trends: Mapping[str, Trend], state: str, reason: str) -> None:
    found = gpu_condition(device, held, trends)
    assert (found.state.value, found.reason) == (state, reason)


def test_the_first_of_several_processes_is_named() -> None:
    more = tuple(GpuProcess(pid=pid, name="x", mem_bytes=NOT_TOLD) for pid in (1, 2, 3))
    assert gpu_condition(replace(LARGE, processes=more), 0.0, {}).reason == "30 GiB held by x (pid 1) and 2 more"


def test_a_device_of_no_memory_at_all_divides_by_nothing() -> None:
    assert gpu_condition(replace(gpu(), mem_total_bytes=0), 0.0, {}).state is GpuState.FREE


devices = st.builds(
    gpu,
    st.just(0),
    used=st.integers(0, 80),
    use=st.none() | st.floats(0.0, 100.0),
    held=st.booleans(),
    parent=st.sampled_from(["", "GPU-9"]),
    fault=st.sampled_from(["", "Xid 48"]),
)
shares = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
histories = st.dictionaries(st.sampled_from([GUT, GMEM, GPROCS]), st.builds(trend, st.floats(0.0, 100.0)))


@settings(deadline=None)
@given(devices, shares, histories)
def test_what_may_be_had_is_shown_as_free_or_shared_and_nothing_else_is(
    device: Gpu, held: float, trends: Mapping[str, Trend]
) -> None:
    state = gpu_condition(device, held, trends).state
    assert (state is GpuState.FREE) == (held == 0.0 and looks_free(device))
    assert (state is GpuState.SHARED) == (0.0 < held < 1.0 and has_place(device, held, 0.01))


@settings(deadline=None)
@given(devices, shares, histories)
def test_history_never_makes_a_device_free(device: Gpu, held: float, trends: Mapping[str, Trend]) -> None:
    before, after = gpu_condition(device, held, {}), gpu_condition(device, held, trends)
    assert before.state is after.state or (before.state, after.state) == (GpuState.BUSY, GpuState.HELD_IDLE)
    assert after.reason or after.state is GpuState.FREE
