"""A node's load from `/proc`: run queue, cpu ticks, pressure, memory, disk and network traffic."""

import re
from collections.abc import Collection, Mapping

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
        if name != "cpu":
            continue
        ticks = wholes(fields, most=_MOST_TICKS)
        if ticks is None or len(ticks) < 4:
            return Unknown(reason="/proc/stat does not parse")
        total = sum(ticks)
        return CpuTicks(busy=total - sum(ticks[3:5]), total=total)
    return Unknown(reason="no /proc/stat")


def parse_online(text: str) -> int | Unknown:
    """Number of cpus with a line of their own."""
    names = {line.split(" ", 1)[0] for line in text.split("\n")}
    online = sum(name.startswith("cpu") and whole(name[3:], most=MOST_CPUS) is not None for name in names)
    return online if 1 <= online <= MOST_CPUS else Unknown(reason="no cpus in /proc/stat")


# -- `/proc/pressure/*`: `some avg10=0.04 avg60=0.04 avg300=0.00 total=2571783`, per cent of the time

_SOME = re.compile(r"some avg10=([0-9.]{1,20}) .*", re.MULTILINE)


def parse_pressure(files: Mapping[str, str]) -> Pressure | Unknown:
    """All three pressures, or unknown: kernels before 4.20 and kernels started with `psi=0` have none."""
    texts = [files.get(f"pressure/{resource}", "") for resource in ("cpu", "memory", "io")]
    if not all(texts):
        return Unknown(reason="no pressure stall information")
    match [_avg10_pct(text) for text in texts]:
        case [float(cpu), float(mem), float(io)]:
            return Pressure(cpu_pct=cpu, mem_pct=mem, io_pct=io)
        case _:
            return Unknown(reason="/proc/pressure does not parse")


def _avg10_pct(text: str) -> float | None:
    some = _SOME.match(text)
    return decimal(some[1], most=100.0) if some else None


# -- `/proc/meminfo`: `MemAvailable: 24355472 kB`, where kB means KiB

_MOST_KIB = 2**50


def parse_meminfo(text: str) -> Memory | Unknown:
    """Memory and swap; unknown on kernels before 3.14, which do not print `MemAvailable`."""
    kib: dict[str, int] = {}
    for line in text.split("\n"):
        name, _, rest = line.partition(":")
        number = whole(rest.removesuffix(" kB"), most=_MOST_KIB)
        if number is not None:
            kib.setdefault(name, number)
    needed = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
    missing = [name for name in needed if name not in kib]
    if missing:
        return Unknown(reason=f"no {missing[0]} in /proc/meminfo" if text else "no /proc/meminfo")
    total, available, swap_total, swap_free = (kib[name] * 1024 for name in needed)
    if total == 0 or available > total or swap_free > swap_total:
        return Unknown(reason="/proc/meminfo contradicts itself")
    return Memory(
        total_bytes=total,
        available_bytes=available,
        swap_total_bytes=swap_total,
        swap_free_bytes=swap_free,
    )


# -- `/proc/diskstats` and `/proc/net/dev`: bytes since boot, each byte counted once

_SECTOR_BYTES = 512  # in /proc/diskstats, whatever the disk's own sector size
_MOST_COUNTED = 2**64
# Devices that pass on the traffic of other disks, or live in memory; nvme0c0n1 is one path to nvme0n1.
_STACKED = re.compile(r"(loop|ram|zram|zd|dm-|md|drbd|bcache|sr|fd)[0-9].*|nvme[0-9]+c[0-9]+n[0-9]+")
_PARTITION = re.compile(r"(.*[0-9])p[0-9]+|(.*[^0-9])[0-9]+")

_UEVENT = re.compile(r".*/net/([^/]+)/device/uevent")
_PASSED_ON = re.compile(
    r"(bond|team|br|docker|podman|virbr|vnet|veth|lxc|lxdbr|cni|cbr|cali|cilium|flannel|kube-|nodelocaldns|weave|ovs"
    r"|tun|tap|wg|vxlan|geneve|gre|erspan|sit|ip6tnl|ip6gre|tunl|ip_vti|ip6_vti|macv|ipvl|vlan|dummy|ifb).*"
)
_HYPER_V = "hv_netvsc"
_BEHIND_HYPER_V = re.compile(r"enP[0-9]+.*")
_NO_DRIVERS: Mapping[str, str] = {}


def parse_traffic(diskstats: str, net_dev: str, drivers: Mapping[str, str] = _NO_DRIVERS) -> Traffic | Unknown:
    """Disk and network bytes, or unknown if one is; `drivers`: by name of each interface that is a device."""
    disk = parse_diskstats(diskstats)
    net = parse_net_dev(net_dev, drivers)
    if isinstance(disk, Unknown):
        return disk
    if isinstance(net, Unknown):
        return net
    return Traffic(
        disk_read_bytes=disk[0], disk_written_bytes=disk[1], net_received_bytes=net[0], net_sent_bytes=net[1]
    )


def parse_diskstats(text: str) -> tuple[int, int] | Unknown:
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
    return (
        sum(read for read, _ in whole_disks) * _SECTOR_BYTES,
        sum(written for _, written in whole_disks) * _SECTOR_BYTES,
    )


def _is_part(name: str, disks: dict[str, tuple[int, int]]) -> bool:
    """Whether this is a partition, whose bytes its disk counts; `sda1` is a disk of its own if there is no `sda`."""
    if _STACKED.fullmatch(name):
        return True
    partition = _PARTITION.fullmatch(name)
    return partition is not None and (partition[1] or partition[2]) in disks


def parse_net_dev(text: str, drivers: Mapping[str, str] = _NO_DRIVERS) -> tuple[int, int] | Unknown:
    """Bytes received and sent on the counted interfaces: `eth0: bytes packets 6 more, bytes …`."""
    if not text:
        return Unknown(reason="no /proc/net/dev")
    interfaces: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        name, _, rest = line.strip().partition(":")
        if name == "lo":
            continue
        counters = wholes(rest.split()[:9], most=_MOST_COUNTED)
        if counters is None or len(counters) < 9:
            return Unknown(reason="/proc/net/dev does not parse")
        interfaces[name] = counters[0], counters[8]
    counted = [interfaces[name] for name in _counted(interfaces, drivers)]
    return sum(received for received, _ in counted), sum(sent for _, sent in counted)


def _counted(interfaces: Collection[str], drivers: Mapping[str, str]) -> list[str]:
    """The interfaces to count: devices, or if none is known (in a container) a choice by name.

    Interfaces on top of devices (bonds, VLANs, bridges, tunnels, the ends of containers) pass on the devices' traffic,
    so they are counted only if there is nothing else.
    """
    devices = [name for name in interfaces if name in drivers]
    if any(drivers[name] == _HYPER_V for name in devices):  # it also counts the bytes of the device behind it
        devices = [name for name in devices if not _BEHIND_HYPER_V.fullmatch(name)]
    plain = [name for name in interfaces if not _PASSED_ON.fullmatch(name) and name.partition(".")[0] == name]
    return devices or plain or list(interfaces)


def parse_drivers(files: Mapping[str, str]) -> Mapping[str, str]:
    """The driver of each network interface that is a device, from `DRIVER=virtio_net` in `…/net/eth0/device/uevent`."""
    found = ((_UEVENT.fullmatch(path), text) for path, text in files.items())
    return {path[1]: text.removeprefix("DRIVER=") for path, text in found if path}
