"""The figures of this machine where its `/proc` does not tell them."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clbalance.model import Cpus, CpuTicks, Memory, Reading, RunQueue, Traffic, Unknown
from clbalance.nodeset import Selection
from clbalance.probe.load import parse_cpu_ticks, parse_meminfo, parse_online
from clbalance.probe.own_machine import OwnFigures, completed
from clbalance.probe.reading import parse_reading
from clbalance.settings.load import load_settings
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.in_memory_journal import InMemoryJournal
from clbalance.transport.reach import SshTransport
from clbalance.wiring.context import Context
from clbalance.wiring.own_machine import read_own_figures
from tests.engine.services import world_of

NOTHING = parse_reading({})
"""The reading of a machine without `/proc`, and without anything else."""
A_MAC = OwnFigures(
    load_averages=(1.5, 1.0, 0.5),
    running=2,
    cpus=8,
    cpu_times_s={"user": 10.0, "nice": 1.0, "system": 4.0, "idle": 85.0},
    memory=(16 << 30, 6 << 30),
    swap=(2 << 30, 1 << 30),
    up_s=3600.0,
    disk=(1000, 2000),
    interfaces={
        "en0": (10, 20),
        "en1": (1, 2),
        "lo0": (99, 99),
        "utun3": (99, 99),
        "lo": (99, 99),
        "bridge0": (99, 99),
    },
    tmp=("/tmp", 100, 40),
)
COUNT = some.integers(0, 1 << 50)
PAIR = some.none() | some.tuples(COUNT, COUNT)
FIGURES = some.builds(
    OwnFigures,
    load_averages=some.none() | some.tuples(*[some.floats(0, 1e4)] * 3),
    running=some.none() | some.integers(0, 1000),
    cpus=some.none() | some.integers(0, 1000),
    cpu_times_s=some.none()
    | some.dictionaries(some.sampled_from(["user", "idle", "iowait", "guest", "steal"]), some.floats(0, 1e9)),
    memory=PAIR,
    swap=PAIR,
    up_s=some.none() | some.floats(0, 1e9),
    disk=PAIR,
    interfaces=some.none() | some.dictionaries(some.sampled_from(["en0", "eth0", "lo", "docker0"]), some.tuples(COUNT, COUNT)),
    tmp=some.none() | some.tuples(some.just("/tmp"), COUNT, COUNT),
)  # fmt: skip


def test_a_machine_without_proc_has_the_figures_of_its_system() -> None:
    reading = completed(NOTHING, A_MAC)
    assert reading.run_queue == RunQueue(r1m=1.5, r5m=1.0, r15m=0.5, rq=2)
    assert reading.cpus == Cpus(online=8, model="")
    assert reading.cpu_ticks == CpuTicks(busy=1500, total=10_000)
    assert reading.memory == Memory(
        total_bytes=16 << 30, available_bytes=6 << 30, swap_total_bytes=2 << 30, swap_free_bytes=1 << 30
    )
    assert (reading.disk, reading.net) == (Traffic(in_bytes=1000, out_bytes=2000), Traffic(in_bytes=11, out_bytes=22))
    assert reading.uptime_s == 3600.0


def test_what_is_not_told_stays_unknown_with_the_reason_of_the_probe() -> None:
    assert completed(NOTHING, OwnFigures()) == NOTHING
    assert completed(NOTHING, replace(A_MAC, running=None)).run_queue == NOTHING.run_queue
    assert completed(NOTHING, A_MAC).boot_id == NOTHING.boot_id, "psutil has none, and a made-up one proves nothing"
    memory = completed(NOTHING, replace(A_MAC, swap=None)).memory
    assert isinstance(memory, Memory)
    assert isinstance(memory.swap_free_bytes, Unknown)


def test_waiting_for_a_disk_is_idle_and_guests_are_counted_once() -> None:
    times = {"user": 3.0, "idle": 5.0, "iowait": 1.0, "steal": 1.0, "guest": 2.0, "guest_nice": 0.5}
    assert completed(NOTHING, OwnFigures(cpu_times_s=times)).cpu_ticks == CpuTicks(busy=400, total=1000)


@given(FIGURES, FIGURES)
def test_what_the_probe_has_read_is_never_replaced(first: OwnFigures, second: OwnFigures) -> None:
    once = completed(NOTHING, first)
    twice = completed(once, second)
    for field in fields(Reading):
        known = getattr(once, field.name)
        assert isinstance(known, Unknown) or getattr(twice, field.name) == known
    if isinstance(once.cpu_ticks, CpuTicks):
        assert 0 <= once.cpu_ticks.busy <= once.cpu_ticks.total
    if isinstance(once.memory, Memory):
        assert 0 <= once.memory.available_bytes <= once.memory.total_bytes


def test_psutil_tells_what_proc_tells() -> None:
    before = parse_cpu_ticks(Path("/proc/stat").read_text())
    reading = completed(NOTHING, read_own_figures())
    after = parse_cpu_ticks(Path("/proc/stat").read_text())
    slack = 1000  # the kernel's count of waiting for disks may go back
    assert isinstance(before, CpuTicks)
    assert isinstance(after, CpuTicks)
    assert isinstance(reading.cpu_ticks, CpuTicks)
    assert before.total - slack <= reading.cpu_ticks.total <= after.total + slack
    memory = parse_meminfo(Path("/proc/meminfo").read_text())
    assert isinstance(memory, Memory)
    assert isinstance(reading.memory, Memory)
    assert reading.memory.total_bytes == memory.total_bytes
    assert isinstance(reading.cpus, Cpus)
    assert reading.cpus.online == parse_online(Path("/proc/stat").read_text())
    assert isinstance(reading.run_queue, RunQueue)


def test_only_this_machine_without_a_cluster_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def has_figures(context: Context) -> bool:
        opened = (InMemoryStore(), InMemoryJournal())
        services = context.engine_services(opened, world_of({}).listener)
        return isinstance(services.completed(context.candidates.nodes[0], NOTHING).memory, Memory)

    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path))
    monkeypatch.delenv("CLBALANCE_PROCFS", raising=False)
    alone = Context.of(
        load_settings({}, tmp_path, system_file=tmp_path / "none"),
        Selection(everything=True),
        names_nodes=False,
        results=None,
        transport=lambda here: SshTransport(here=here),
        group=None,
        policy=None,
    )
    assert has_figures(alone)
    assert not has_figures(replace(alone, is_here=False))
    monkeypatch.setenv("CLBALANCE_PROCFS", str(tmp_path))
    assert not has_figures(alone), "the user has said where its /proc is"
