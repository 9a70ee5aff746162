"""`/proc/diskstats` and `/proc/net/dev`: bytes since boot, each byte counted once."""

import re
from collections.abc import Collection, Mapping

from clbalance.model import Traffic, Unknown
from clbalance.probe.bounded import wholes

_SECTOR_BYTES = 512  # of /proc/diskstats, whatever the disk's own are
_MOST = 2**64
# They pass on what another disk does, or live in memory; nvme0c0n1 is one path to nvme0n1.
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
    """Both counters or neither; `drivers`: of the interfaces that are devices."""
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
    """Bytes read and written by whole disks: `254 0 vda reads merged sectors ms writes merged sectors …`."""
    if not text:
        return Unknown(why="no /proc/diskstats")
    disks: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        _, _, name, *fields = [*line.split(), "", "", ""]
        counters = wholes(fields[:7], most=_MOST)
        if counters is None or len(counters) < 7:
            return Unknown(why="/proc/diskstats does not parse")
        disks[name] = counters[2], counters[6]
    whole_disks = [counts for name, counts in disks.items() if not _is_part(name, disks)]
    return (
        sum(read for read, _ in whole_disks) * _SECTOR_BYTES,
        sum(written for _, written in whole_disks) * _SECTOR_BYTES,
    )


def _is_part(name: str, disks: dict[str, tuple[int, int]]) -> bool:
    """Whether its bytes are counted elsewhere; `sda1` is a disk of its own where there is no `sda`."""
    if _STACKED.fullmatch(name):
        return True
    partition = _PARTITION.fullmatch(name)
    return partition is not None and (partition[1] or partition[2]) in disks


def parse_net_dev(text: str, drivers: Mapping[str, str] = _NO_DRIVERS) -> tuple[int, int] | Unknown:
    """Bytes received and sent by the interfaces that count: `eth0: bytes packets 6 more, bytes …`."""
    if not text:
        return Unknown(why="no /proc/net/dev")
    interfaces: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        name, _, rest = line.strip().partition(":")
        if name == "lo":
            continue
        counters = wholes(rest.split()[:9], most=_MOST)
        if counters is None or len(counters) < 9:
            return Unknown(why="/proc/net/dev does not parse")
        interfaces[name] = counters[0], counters[8]
    counted = [interfaces[name] for name in _counted(interfaces, drivers)]
    return sum(received for received, _ in counted), sum(sent for _, sent in counted)


def _counted(interfaces: Collection[str], drivers: Mapping[str, str]) -> list[str]:
    """Those whose bytes no other one counts: devices, or where none is known (in a container) by their names.

    What stands on devices (bonds, VLANs, bridges, tunnels, the ends of containers) passes on what they carry. Where it
    is all that there is, it counts itself.
    """
    devices = [name for name in interfaces if name in drivers]
    if any(drivers[name] == _HYPER_V for name in devices):  # it counts the bytes of the device that it hands on
        devices = [name for name in devices if not _BEHIND_HYPER_V.fullmatch(name)]
    plain = [name for name in interfaces if not _PASSED_ON.fullmatch(name) and name.partition(".")[0] == name]
    return devices or plain or list(interfaces)


def parse_drivers(files: Mapping[str, str]) -> Mapping[str, str]:
    """The driver of each network interface that is a device: `…/net/eth0/device/uevent` has `DRIVER=virtio_net`."""
    found = ((_UEVENT.fullmatch(path), text) for path, text in files.items())
    return {path[1]: text.removeprefix("DRIVER=") for path, text in found if path}
