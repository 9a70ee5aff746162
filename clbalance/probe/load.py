"""A node's load from `/proc`: run queue, cpu ticks, pressure, memory, disk and network traffic."""

import re
from collections.abc import Collection, Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.model import CpuTicks, Memory, Pressure, RunQueue, Traffic, Unknown
from clbalance.probe.frame import decimal, whole, wholes

_MOST_TASKS = 1_000_000  # runnable tasks: well beyond any machine's pid_max in use


def parse_loadavg(text: str) -> RunQueue | Unknown:
    """The run queue, without the probing shell itself."""
    match text.split():
        case [one, five, fifteen, tasks, *_]:
            running = whole(tasks.partition("/")[0], most=_MOST_TASKS)
            loads = [decimal(word, most=_MOST_TASKS) for word in (one, five, fifteen)]
        case []:
            return Unknown(reason="no /proc/loadavg")
        case _:
            return Unknown(reason="/proc/loadavg is cut short")
    match loads:
        case [float(r1m), float(r5m), float(r15m)] if running is not None:
            # The fourth field also counts the reading process.
            return RunQueue(r1m=r1m, r5m=r5m, r15m=r15m, rq=max(0, running - 1))
        case _:
            return Unknown(reason="/proc/loadavg does not parse")


# -- `/proc/stat`: the line `cpu user nice system idle iowait irq softirq steal guest guest_nice`, in ticks

_MOST_TICKS = 2**63
MOST_CPUS = 65_536


def parse_cpu_ticks(text: str) -> CpuTicks | Unknown:
    """Ticks since boot, all cpus together.

    Waiting for a disk is idle. Stolen time is busy: this node cannot use it. Guest time is part of user and nice.
    """
    for line in text.split("\n"):
        name, *fields = line.split()[:9] or [""]
        if name == "cpu":
            return _ticks(fields) or Unknown(reason="/proc/stat does not parse")
    return Unknown(reason="no /proc/stat")


def parse_core_ticks(text: str) -> dict[int, CpuTicks]:
    """The same of each cpu that has a line of its own."""
    found = {}
    for line in text.split("\n"):
        name, *fields = line.split()[:9] or [""]
        cpu = whole(name[3:], most=MOST_CPUS) if name.startswith("cpu") else None
        ticks = None if cpu is None else _ticks(fields)
        if cpu is not None and ticks is not None:
            found[cpu] = ticks
    return found


def _ticks(fields: list[str]) -> CpuTicks | None:
    ticks = wholes(fields, most=_MOST_TICKS)
    if ticks is None or len(ticks) < 4:
        return None
    total = sum(ticks)
    return CpuTicks(busy=total - sum(ticks[3:5]), total=total)


def parse_online(text: str) -> int | Unknown:
    """Number of cpus with a line of their own."""
    names = {line.split(" ", 1)[0] for line in text.split("\n")}
    online = sum(name.startswith("cpu") and whole(name[3:], most=MOST_CPUS) is not None for name in names)
    return online if 1 <= online <= MOST_CPUS else Unknown(reason="no cpus in /proc/stat")


# -- `/proc/pressure/*`: `some avg10=0.04 avg60=0.04 avg300=0.00 total=2571783`, per cent of the time

_SOME = re.compile(r"some avg10=([0-9.]{1,20}) .*", re.MULTILINE)


def parse_pressure(files: Mapping[str, str]) -> Pressure | Unknown:
    """The pressures, each by itself. Kernels before 4.20 and kernels started with `psi=0` have none."""
    if not any(files.get(f"pressure/{resource}") for resource in ("cpu", "memory", "io")):
        return Unknown(reason="no pressure stall information")
    return Pressure(
        cpu_pct=_avg10_pct(files, "cpu"), mem_pct=_avg10_pct(files, "memory"), io_pct=_avg10_pct(files, "io")
    )


def _avg10_pct(files: Mapping[str, str], resource: str) -> float | Unknown:
    text = files.get(f"pressure/{resource}", "")
    some = _SOME.match(text)
    pct = decimal(some[1], most=100.0) if some else None
    if pct is not None:
        return pct
    return Unknown(reason=f"/proc/pressure/{resource} does not parse" if text else f"no /proc/pressure/{resource}")


# -- `/proc/meminfo`: `MemAvailable: 24355472 kB`, where kB means KiB

_MOST_KIB = 2**50
# The kernel takes the figures one after another and rounds each to pages, of up to 64 KiB. A free amount that is above
# its total by no more than one page is the total.
_PAGE_BYTES = 64 * 1024


def parse_meminfo(text: str) -> Memory | Unknown:
    """Memory, and swap by itself; unknown on kernels before 3.14, which do not print `MemAvailable`."""
    sizes = dict(map(_meminfo_line, reversed(text.split("\n"))))
    total = _size(sizes, "MemTotal")
    available = _part_of(total, sizes, "MemAvailable")
    if isinstance(total, Unknown):
        return total if text else Unknown(reason="no /proc/meminfo")
    if isinstance(available, Unknown):
        return available
    if total == 0:
        return Unknown(reason="/proc/meminfo contradicts itself: MemTotal is 0")
    swap_total = _size(sizes, "SwapTotal")
    return Memory(
        total_bytes=total,
        available_bytes=available,
        swap_total_bytes=swap_total,
        swap_free_bytes=_part_of(swap_total, sizes, "SwapFree"),
    )


def _meminfo_line(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(":")
    return name, rest.removesuffix(" kB").strip()


def _size(sizes: Mapping[str, str], name: str) -> int | Unknown:
    """One figure in bytes. In containers some are a negative number, printed as 2^64 less a little."""
    if name not in sizes:
        return Unknown(reason=f"no {name} in /proc/meminfo")
    kib = whole(sizes[name], most=_MOST_KIB)
    return Unknown(reason=f"{name} in /proc/meminfo makes no sense") if kib is None else kib * 1024


def _part_of(total: int | Unknown, sizes: Mapping[str, str], name: str) -> int | Unknown:
    """A figure that is part of `total`; unknown if that is."""
    part = _size(sizes, name)
    if isinstance(part, Unknown) or isinstance(total, Unknown):
        return part if isinstance(part, Unknown) else total
    if part > total + _PAGE_BYTES:
        return Unknown(reason=f"/proc/meminfo contradicts itself: {name} is above its total")
    return min(part, total)


# -- `/proc/diskstats` and `/proc/net/dev`: bytes since boot, each byte counted once

_SECTOR_BYTES = 512  # in /proc/diskstats, whatever the disk's own sector size
_MOST_COUNTED = 2**63 - 1  # above that it is a negative number
# Devices that pass on the traffic of other disks, or live in memory; nvme0c0n1 is one path to nvme0n1.
_STACKED = re.compile(r"(loop|ram|zram|zd|dm-|md|drbd|bcache|sr|fd)[0-9].*|nvme[0-9]+c[0-9]+n[0-9]+")
_PARTITION = re.compile(r"(.*[0-9])p[0-9]+|(.*[^0-9])[0-9]+")

_DEVICE = re.compile(r".*/net/([^/]+)/device/uevent")
_MEMBER_OF_DEVICE = re.compile(r".*/net/([^/]+)/master/device/uevent")
_BUILT_ON = re.compile(r".*/net/([^/]+)/lower_[^/]+/ifindex")
# Where the kernel does not say what is built on what: layers by name, the lowest first. All other names come before.
_LAYERS = (
    re.compile(r"(veth|vnet|tap|lxc|cali|dummy|ifb|fwln|fwpr)[^.]*"),
    re.compile(r"(bond|team)[^.]*"),
    re.compile(r"(br|docker|podman|virbr|vmbr|xenbr|lxdbr|incusbr|cni|cbr|fwbr|ovs|kube-|weave)[^.]*"),
    re.compile(r".*[.].*|(vlan|macv|ipvl).*"),
    re.compile(
        r"(tun|wg|tailscale|zt|vxlan|geneve|gre|erspan|sit|ip6tnl|ip6gre|ip_vti|ip6_vti|flannel|cilium|nodelocaldns).*"
    ),
)


def parse_diskstats(text: str) -> Traffic | Unknown:
    """Bytes read from and written to whole disks: `254 0 vda reads merged sectors ms writes merged sectors …`."""
    if not text:
        return Unknown(reason="no /proc/diskstats")
    disks: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        _, _, name, *fields = [*line.split(), "", "", ""]
        counters = wholes(fields[:7], most=_MOST_COUNTED)
        if counters is None or len(counters) < 7:
            return Unknown(reason="/proc/diskstats does not parse")
        disks[name] = counters[2], counters[6]
    whole_disks = [counts for name, counts in disks.items() if not _is_part(name, disks)]
    return Traffic(
        in_bytes=sum(read for read, _ in whole_disks) * _SECTOR_BYTES,
        out_bytes=sum(written for _, written in whole_disks) * _SECTOR_BYTES,
    )


def _is_part(name: str, disks: Collection[str]) -> bool:
    """Whether this is a partition, whose bytes its disk counts; `sda1` is a disk of its own if there is no `sda`."""
    if _STACKED.fullmatch(name):
        return True
    partition = _PARTITION.fullmatch(name)
    return partition is not None and (partition[1] or partition[2]) in disks


@dataclass(frozen=True, slots=True, kw_only=True)
class Interfaces:
    """What the kernel says about network interfaces, by name."""

    devices: frozenset[str] = frozenset()
    """Hardware, without members of another device, which counts their bytes too."""
    built: frozenset[str] = frozenset()
    """Built on other interfaces; asked only where no interface is a device."""


def parse_interfaces(files: Mapping[str, str]) -> Interfaces:
    """From paths such as `/sys/class/net/eth0/device/uevent`, which only devices have."""

    def named(pattern: re.Pattern[str]) -> frozenset[str]:
        return frozenset(found[1] for path in files if (found := pattern.fullmatch(path)))

    # On Azure (hv_netvsc) and with net_failover a device is the master of another one.
    return Interfaces(devices=named(_DEVICE) - named(_MEMBER_OF_DEVICE), built=named(_BUILT_ON))


_NOT_SAID = Interfaces()


def parse_net_dev(text: str, interfaces: Interfaces = _NOT_SAID) -> Traffic | Unknown:
    """Bytes received and sent on the counted interfaces: `eth0: bytes packets 6 more, bytes …`."""
    if not text:
        return Unknown(reason="no /proc/net/dev")
    counts: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        name, _, rest = line.strip().partition(":")
        if name == "lo":
            continue
        counters = wholes(rest.split()[:9], most=_MOST_COUNTED)
        if counters is None or len(counters) < 9:
            return Unknown(reason="/proc/net/dev does not parse")
        counts[name] = counters[0], counters[8]
    if not counts:
        return Unknown(reason="no interface but lo in /proc/net/dev")
    counted = [counts[name] for name in _counted(counts, interfaces)]
    return Traffic(in_bytes=sum(received for received, _ in counted), out_bytes=sum(sent for _, sent in counted))


def _counted(names: Collection[str], interfaces: Interfaces) -> Collection[str]:
    """The interfaces to count: devices, or if there is none (in a container) the lowest layer there is.

    Interfaces on top of others (bonds, VLANs, bridges, tunnels, the ends of containers) pass on their traffic.
    """
    devices = interfaces.devices.intersection(names)
    if devices:
        return devices
    ends = [name for name in names if name not in interfaces.built] or names
    lowest = min(map(_layer, ends))
    return [name for name in ends if _layer(name) == lowest]


def _layer(name: str) -> int:
    return next((number for number, layer in enumerate(_LAYERS, start=1) if layer.fullmatch(name)), 0)
