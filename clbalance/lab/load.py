"""The simulated load of a lab node: as JSON from the controller, and as the texts of `/proc` on the node.

Standard library only, quick to import, because every node's init imports it.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, replace

from clbalance.lazy_dataclass import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLoad:
    """The simulated load of one GPU."""

    index: int
    part: int | None = None
    """The number of the MIG instance, if the GPU is divided; None: the whole GPU."""
    use_pct: int = 0
    mem_used_bytes: int = 0
    process: str = ""
    """The program that `nvidia-smi` lists as using it. With `@PID` after its name it really runs there. Several are
    joined by `+`; each holds the same part of the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The simulated base load of a node. Its real runnable processes are added to it.

    Unless given, `r5m` and `r15m` equal `r1m`, and `rq` is `r1m` rounded.
    """

    r1m: float = 0.0
    r5m: float | None = None
    r15m: float | None = None
    rq: int | None = None
    ut_pct: float = 0.0
    mem_used_bytes: int | None = None
    """None: a sixteenth of the memory, as on an idle machine."""
    swap_used_bytes: int = 0
    psi_cpu_pct: float = 0.0
    psi_mem_pct: float = 0.0
    psi_io_pct: float = 0.0
    io_kib_per_s: float | None = None
    """Read plus written; None: as on an idle machine."""
    net_kib_per_s: float | None = None
    """Received plus sent; None: as on an idle machine."""
    spin: int = 0
    """Number of real busy loops that run on the node."""
    gpus: tuple[GpuLoad, ...] = ()
    gpu_parts: tuple[tuple[int, int], ...] = ()
    """Pairs of a GPU and its number of MIG instances. Like the whole load, it is reset by a boot."""
    gpu_faults: tuple[tuple[int, str], ...] = ()
    """Pairs of a GPU and its fault (`gpu_devices.FAULTS`)."""
    gpu_tool: str = "well"
    """How `nvidia-smi` answers: `well`, `slow` (after 0.7 s), `fail`, `hang`, or `nolog` (only its log hangs)."""

    reboot: str = "new"
    """How the next reboot from inside ends: one of `REBOOTS`."""
    reboot_s: float = 1.0
    """How long that reboot takes."""

    def gpu(self, index: int, part: int | None = None) -> GpuLoad:
        """The load of one GPU; idle if none was set."""
        return next(
            (gpu for gpu in self.gpus if (gpu.index, gpu.part) == (index, part)), GpuLoad(index=index, part=part)
        )

    def with_gpus(self, gpus: Iterable[GpuLoad]) -> "Load":
        """This load with other loads of these GPUs."""
        by_place = {(gpu.index, -1 if gpu.part is None else gpu.part): gpu for gpu in (*self.gpus, *gpus)}
        return replace(self, gpus=tuple(by_place[place] for place in sorted(by_place)))

    def with_gpu_facts(self, parts: Iterable[tuple[int, int]], faults: Iterable[tuple[int, str]]) -> "Load":
        """This load with other MIG instances and faults of GPUs. A GPU that is divided anew becomes idle."""
        cut, broken = dict(parts), dict(self.gpu_faults) | dict(faults)
        return replace(
            self,
            gpus=tuple(gpu for gpu in self.gpus if gpu.index not in cut),
            gpu_parts=tuple(sorted((dict(self.gpu_parts) | cut).items())),
            gpu_faults=tuple(sorted(broken.items())),
        )


IDLE = Load()
REBOOTS = ("new", "same", "never", "sick")
"""With a new boot_id, with the old one, not at all, or with a `node-health` that fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A load with a number, by which the controller sees when the node shows it."""

    number: int
    load: Load

    def to_json(self) -> str:
        """The text of `load.json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """The inverse of `to_json`. The file is our own, so bad content may raise any exception."""
        raw = json.loads(text)
        parsed = raw["load"]
        parsed["gpus"] = tuple(GpuLoad(**gpu) for gpu in parsed["gpus"])
        for name in ("gpu_parts", "gpu_faults"):
            parsed[name] = tuple((index, what) for index, what in parsed[name])
        return cls(number=raw["number"], load=Load(**parsed))


# The texts of a node's `/proc`, from machine, load and counters. Pure, standard library only.
#
# Formats follow proc(5) and the kernel's Documentation/accounting/psi.rst. Only files and fields for load tools exist.

USER_HZ = 100  # ticks per second in /proc/stat, on every architecture Python runs on
_SECTOR_BYTES = 512
_IDLE_NET_KIB_PER_S = 4.0  # received plus sent
_IDLE_DISK_KIB_PER_S = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Properties of the node that are constant during one boot."""

    cpus: int
    mem_bytes: int
    swap_bytes: int
    boot_id: str
    booted_at_s: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters since boot, and load averages of the node's own runnable processes."""

    uptime_s: float = 0.0
    busy_s: float = 0.0
    """Summed over all cpus; the rest of `uptime_s * cpus` was idle."""
    psi_cpu_s: float = 0.0
    psi_mem_s: float = 0.0
    psi_io_s: float = 0.0
    disk_bytes: float = 0.0
    """Half read, half written; `net_bytes`: half received, half sent."""
    net_bytes: float = 0.0
    own_r1m: float = 0.0
    own_r5m: float = 0.0
    own_r15m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Counts of the node's real processes now."""

    runnable: int = 0
    total: int = 1
    last_pid: int = 1


def advance(before: Counters, machine: Machine, load: Load, own: Own, span_s: float) -> Counters:
    """The counters `span_s` seconds later, with constant load and processes."""
    busy_share = min(1.0, load.ut_pct / 100 + own.runnable / machine.cpus)
    return Counters(
        uptime_s=before.uptime_s + span_s,
        busy_s=before.busy_s + span_s * machine.cpus * busy_share,
        psi_cpu_s=before.psi_cpu_s + span_s * load.psi_cpu_pct / 100,
        psi_mem_s=before.psi_mem_s + span_s * load.psi_mem_pct / 100,
        psi_io_s=before.psi_io_s + span_s * load.psi_io_pct / 100,
        disk_bytes=before.disk_bytes + span_s * 1024 * _or_idle(load.io_kib_per_s, _IDLE_DISK_KIB_PER_S),
        net_bytes=before.net_bytes + span_s * 1024 * _or_idle(load.net_kib_per_s, _IDLE_NET_KIB_PER_S),
        own_r1m=_decayed(before.own_r1m, own.runnable, span_s / 60),
        own_r5m=_decayed(before.own_r5m, own.runnable, span_s / 300),
        own_r15m=_decayed(before.own_r15m, own.runnable, span_s / 900),
    )


def _or_idle(set_to: float | None, idle: float) -> float:
    return idle if set_to is None else set_to


def _decayed(average: float, now: int, spans: float) -> float:
    # avg' = avg * e^(-t/T) + n * (1 - e^(-t/T)), as kernel/sched/loadavg.c has it
    keep = math.exp(-spans)
    return average * keep + now * (1 - keep)


def render(machine: Machine, load: Load, counters: Counters, own: Own) -> dict[str, str]:
    """Relative path to content, for every file of the node's `/proc`."""
    return {
        "loadavg": _loadavg(load, counters, own),
        "stat": _stat(machine, counters, load, own),
        "uptime": f"{counters.uptime_s:.2f} {counters.uptime_s * machine.cpus - counters.busy_s:.2f}\n",
        "meminfo": _meminfo(machine, load),
        "pressure/cpu": _pressure(load.psi_cpu_pct, counters.psi_cpu_s, full_pct=0.0),
        "pressure/memory": _pressure(load.psi_mem_pct, counters.psi_mem_s, full_pct=load.psi_mem_pct / 2),
        "pressure/io": _pressure(load.psi_io_pct, counters.psi_io_s, full_pct=load.psi_io_pct / 2),
        "net/dev": _net_dev(counters),
        "diskstats": _diskstats(counters),
        "cpuinfo": "".join(_cpuinfo(cpu) for cpu in range(machine.cpus)),
        "sys/kernel/random/boot_id": f"{machine.boot_id}\n",
    }


def _loadavg(load: Load, counters: Counters, own: Own) -> str:
    r1m = load.r1m + counters.own_r1m
    r5m = (load.r1m if load.r5m is None else load.r5m) + counters.own_r5m
    r15m = (load.r1m if load.r15m is None else load.r15m) + counters.own_r15m
    rq = _running(load, own)
    return f"{r1m:.2f} {r5m:.2f} {r15m:.2f} {rq}/{own.total + rq} {own.last_pid}\n"


def _running(load: Load, own: Own) -> int:
    """The number of running processes. As in the kernel, the reader of the file counts, too."""
    return (round(load.r1m) if load.rq is None else load.rq) + own.runnable + 1


def _stat(machine: Machine, counters: Counters, load: Load, own: Own) -> str:
    one = _cpu_ticks(counters.busy_s / machine.cpus, counters.uptime_s)
    lines = [f"cpu  {' '.join(str(ticks * machine.cpus) for ticks in one)}"]
    lines += [f"cpu{cpu} {' '.join(map(str, one))}" for cpu in range(machine.cpus)]
    lines += [
        f"intr {int(counters.uptime_s * 100)} 0",
        f"ctxt {int(counters.uptime_s * 200)}",
        f"btime {int(machine.booted_at_s)}",
        f"processes {own.last_pid}",
        f"procs_running {_running(load, own)}",
        "procs_blocked 0",
    ]
    return "\n".join(lines) + "\n"


def _cpu_ticks(busy_s: float, uptime_s: float) -> tuple[int, ...]:
    """user nice system idle iowait irq softirq steal guest guest_nice; busy time is 80 % user, 20 % system."""
    busy = int(busy_s * USER_HZ)
    system = busy // 5
    return (busy - system, 0, system, max(0, int(uptime_s * USER_HZ) - busy), 0, 0, 0, 0, 0, 0)


def _meminfo(machine: Machine, load: Load) -> str:
    used = machine.mem_bytes // 16 if load.mem_used_bytes is None else load.mem_used_bytes
    available = max(0, machine.mem_bytes - used)
    cached = available // 4
    sizes = {
        "MemTotal": machine.mem_bytes,
        "MemFree": available - cached,
        "MemAvailable": available,
        "Buffers": 0,
        "Cached": cached,
        "SwapCached": 0,
        "SwapTotal": machine.swap_bytes,
        "SwapFree": max(0, machine.swap_bytes - load.swap_used_bytes),
        "Dirty": 0,
    }
    return "".join(f"{name + ':':<16}{size // 1024:>8} kB\n" for name, size in sizes.items())


def _pressure(some_pct: float, total_s: float, *, full_pct: float) -> str:
    return "".join(
        f"{kind} avg10={pct:.2f} avg60={pct:.2f} avg300={pct:.2f} total={int(total * 1e6)}\n"
        for kind, pct, total in (("some", some_pct, total_s), ("full", full_pct, total_s / 2))
    )


def _net_dev(counters: Counters) -> str:
    received = int(counters.net_bytes / 2)
    rows = "".join(
        f"{name:>6}: {size} {size // 500} 0 0 0 0 0 0 {size} {size // 500} 0 0 0 0 0 0\n"
        for name, size in (("lo", 0), ("eth0", received))
    )
    return (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast"
        "|bytes    packets errs drop fifo colls carrier compressed\n" + rows
    )


def _diskstats(counters: Counters) -> str:
    sectors = int(counters.disk_bytes / 2) // _SECTOR_BYTES
    counts = f"{sectors // 8} 0 {sectors} {sectors // 8} {sectors // 8} 0 {sectors} {sectors // 8} 0 0 0"
    return f" 259       0 nvme0n1 {counts}\n 259       1 nvme0n1p1 {counts}\n"


def _cpuinfo(cpu: int) -> str:
    return (
        f"processor\t: {cpu}\nvendor_id\t: ClbalanceLab\nmodel name\t: Lab CPU @ 2.00GHz\ncpu MHz\t\t: 2000.000\n"
        f"physical id\t: 0\ncore id\t\t: {cpu}\ncpu cores\t: 1\n\n"
    )
