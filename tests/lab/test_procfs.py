"""What a lab node shows is what the probe's own parsers read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.lab.load import Counters, Load, Machine, Own, advance, render
from clbalance.model import CpuTicks, Memory, Pressure, RunQueue, Traffic
from clbalance.probe.load import (
    parse_cpu_ticks,
    parse_diskstats,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
    parse_online,
    parse_pressure,
)

GIB = 2**30
MACHINE = Machine(cpus=4, mem_bytes=16 * GIB, swap_bytes=2 * GIB, boot_id="b", booted_at_s=1.7e9)
BOOTED = Counters()
ALONE = Own()
percents = st.floats(0, 100)
spans = st.lists(st.floats(0, 1000), min_size=1, max_size=5)
loads = st.builds(
    Load,
    r1m=st.floats(0, 1000),
    ut_pct=percents,
    psi_cpu_pct=percents,
    psi_mem_pct=percents,
    psi_io_pct=percents,
    io_kib_per_s=st.none() | st.floats(0, 1e9),
    net_kib_per_s=st.none() | st.floats(0, 1e9),
    mem_used_bytes=st.none() | st.integers(0, 64 * GIB),
    swap_used_bytes=st.integers(0, 64 * GIB),
)
owns = st.builds(Own, runnable=st.integers(0, 50), total=st.integers(1, 100), last_pid=st.integers(1, 4_000_000))


def shown(load: Load, counters: Counters = BOOTED, own: Own = ALONE) -> dict[str, str]:
    return render(MACHINE, load, counters, own)


def ticks(load: Load, own: Own, counters: Counters) -> CpuTicks:
    found = parse_cpu_ticks(shown(load, counters, own)["stat"])
    assert isinstance(found, CpuTicks)
    return found


def test_base_values_are_shown_as_set() -> None:
    files = shown(Load(r1m=3.0, psi_mem_pct=2.5, mem_used_bytes=6 * GIB, swap_used_bytes=GIB))
    assert parse_loadavg(files["loadavg"]) == RunQueue(r1m=3.0, r5m=3.0, r15m=3.0, rq=3)
    assert parse_meminfo(files["meminfo"]) == Memory(
        total_bytes=16 * GIB, available_bytes=10 * GIB, swap_total_bytes=2 * GIB, swap_free_bytes=GIB
    )
    pressure = parse_pressure(files)
    assert pressure == Pressure(cpu_pct=0.0, mem_pct=2.5, io_pct=0.0)
    assert parse_online(files["stat"]) == 4


def test_averages_and_run_queue_can_differ_from_the_first() -> None:
    assert parse_loadavg(shown(Load(r1m=3.0, r5m=2.0, r15m=1.0, rq=0))["loadavg"]) == RunQueue(
        r1m=3.0, r5m=2.0, r15m=1.0, rq=0
    )


def test_an_idle_node_is_idle() -> None:
    assert parse_loadavg(shown(Load())["loadavg"]) == RunQueue(r1m=0.0, r5m=0.0, r15m=0.0, rq=0)


def test_cpu_use_is_what_two_looks_differ_by() -> None:
    load = Load(ut_pct=70)
    first = advance(Counters(), MACHINE, load, Own(), 100.0)
    before, after = ticks(load, Own(), first), ticks(load, Own(), advance(first, MACHINE, load, Own(), 10.0))
    assert abs(100 * (after.busy - before.busy) / (after.total - before.total) - 70) < 0.5


def traffic(counters: Counters) -> tuple[Traffic, Traffic]:
    files = shown(Load(), counters)
    # The probe sends no headings and no last newline.
    disk = parse_diskstats(files["diskstats"].rstrip())
    net = parse_net_dev("\n".join(files["net/dev"].splitlines()[2:]))
    assert isinstance(disk, Traffic)
    assert isinstance(net, Traffic)
    return disk, net


def between(before: Traffic, after: Traffic) -> int:
    return after.in_bytes + after.out_bytes - before.in_bytes - before.out_bytes


@pytest.mark.parametrize(
    ("load", "io", "net"), [(Load(), 80, 4), (Load(io_kib_per_s=5000.0, net_kib_per_s=0.0), 5000, 0)]
)
def test_traffic_is_what_two_looks_differ_by(load: Load, io: float, net: float) -> None:
    first = advance(Counters(), MACHINE, Load(net_kib_per_s=777.0), Own(), 100.0)
    before, after = traffic(first), traffic(advance(first, MACHINE, load, Own(), 10.0))
    disk, wire = map(between, before, after)
    assert disk / 10_240 == pytest.approx(io, abs=0.3)
    assert wire / 10_240 == pytest.approx(net, abs=0.3)


def test_own_processes_come_on_top() -> None:
    busy = Own(runnable=2)
    counters = advance(Counters(), MACHINE, Load(r1m=1.0), busy, 60.0)
    queue = parse_loadavg(shown(Load(r1m=1.0), counters, busy)["loadavg"])
    assert isinstance(queue, RunQueue)
    assert queue.rq == 3
    assert abs(queue.r1m - (1 + 2 * (1 - 1 / 2.718281828))) < 0.01
    assert 1 < queue.r15m < queue.r5m < queue.r1m
    assert ticks(Load(), busy, counters).busy == 2 * 60 * 100  # two of four cpus for a minute


@given(load=loads, own=owns, spans=spans)
def test_counters_never_run_backwards_and_use_is_never_beyond_the_cpus(
    load: Load, own: Own, spans: list[float]
) -> None:
    counters = Counters()
    for span_s in spans:
        later = advance(counters, MACHINE, load, own, span_s)
        before, after = ticks(load, own, counters), ticks(load, own, later)
        assert before.busy <= after.busy <= after.total
        # Five counters are rounded down, for each of four cpus.
        assert before.total - 20 <= after.total
        counters = later


@given(load=loads, own=owns, spans=spans)
def test_every_file_parses_whatever_the_load(load: Load, own: Own, spans: list[float]) -> None:
    counters = advance(Counters(), MACHINE, load, own, sum(spans))
    files = shown(load, counters, own)
    assert isinstance(parse_loadavg(files["loadavg"]), RunQueue)
    assert isinstance(parse_meminfo(files["meminfo"]), Memory)
    assert isinstance(parse_pressure(files), Pressure)
    assert traffic(counters)
    assert all(text.endswith("\n") for text in files.values())
