"""All GPUs of a node, of every vendor, with errors from the kernel's log.

Each vendor has a section of `probe.sh` and a parser that makes `Gpu` values with unique UUIDs; none if the vendor's
tool is absent. Which of them a job sees is set in `node/agent/job/task.py`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Unknown
from clbalance.probe.frame import Section, whole, words_of
from clbalance.probe.gpu_nvidia import GpuPart, cut, parse_gpus, parse_parts
from clbalance.probe.gpu_nvidia_log import DriverLog, parse_nvidia_log
from clbalance.probe.gpu_rocm import parse_rocm
from clbalance.probe.host import numa_node

# -- errors that NVIDIA's driver wrote to the kernel's log (Xids), if users of the node may read the log
#
# Most Xids are faults of a program. The ones listed here leave a device unfit until it is reset (NVIDIA, "Xid Errors").
# The log does not show resets, so they count until the node is rebooted or its log is cleared (`dmesg --clear`).

_XID: Final = re.compile(r".*NVRM: Xid \(PCI:([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2})(?:\.[0-7])?\): ([0-9]{1,4}), (.*)")
_WHO: Final = re.compile(r"(pid=[^,]*, )?(name=[^,]*, )?")
_MOST: Final = 9_999
_GRAVE: Final = {
    48: "double bit ECC error",
    62: "internal micro-controller halt",
    64: "ECC page retirement or row remapper failure",
    74: "NVLink error",
    79: "fallen off the bus",
    95: "uncontained ECC error",
    119: "GSP timeout",
    120: "GSP error",
    136: "link training failed",
    140: "unrecovered ECC error",
    143: "initialisation failed",
}
_RECOVERY: Final = 154
"""The recovery action that the driver asks for; `(None)` at the end: nothing needs to be done any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Xids:
    """The last grave Xid of each device, by the short bus id; `reason`: why the log could not be read, or empty."""

    faults: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    def of(self, bus_id: str) -> str:
        """The fault of the device with this bus id; empty: none."""
        return self.faults.get(_short(bus_id), "")


def parse_xids(section: Section) -> Xids:
    """The grave Xids of the log; later lines replace earlier ones."""
    if section.status is None:
        return Xids(reason="Xids: `dmesg` timed out")
    lines = section.text.split("\n")
    if "not told" in lines:
        return Xids(reason="Xids: the kernel's log is not for users of this node")
    faults: dict[str, str] = {}
    for line in lines:
        if not (found := _XID.fullmatch(line)):
            continue
        bus, number = _short(found[1]), whole(found[2], most=_MOST)
        said = words_of(_WHO.sub("", found[3], count=1), most=80).rstrip(".")
        if number == _RECOVERY and said.endswith("(None)"):
            faults.pop(bus, None)
        elif number in _GRAVE or number == _RECOVERY:
            faults[bus] = f"Xid {number}: {said or _GRAVE.get(number or 0, '')}"
    return Xids(faults=faults)


def _short(bus_id: str) -> str:
    """Domain (four digits), bus and device. The log omits the function, and the tool writes eight digits of domain."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest.partition('.')[0]}"


_CUT_OFF = Section(text="", status=None)
_ABSENT = Section(text="", status="absent")


def parse_devices(sections: Mapping[str, Section], files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    """The GPUs of all vendors; unknown if one vendor's are, because requests for GPUs do not name a vendor."""
    nvidia = _nvidia(sections, files)
    if isinstance(nvidia, Unknown):
        return nvidia
    amd = parse_rocm(sections.get("rocm", _ABSENT), files)
    return amd if isinstance(amd, Unknown) else (*nvidia, *amd)


def _nvidia(sections: Mapping[str, Section], files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    parts = parse_parts(sections.get("gpu_parts", _ABSENT))
    names = {part.uuid: parent for parent, some in parts.items() for part in some}
    gpus = parse_gpus(sections.get("gpus", _CUT_OFF), sections.get("gpu_processes", _CUT_OFF), names)
    if isinstance(gpus, Unknown) or not gpus:
        return gpus
    log = parse_nvidia_log(sections.get("gpu_log", _CUT_OFF))
    xids = parse_xids(sections.get("gpu_faults", _CUT_OFF))
    return tuple(device for gpu in gpus for device in _with_log(gpu, parts.get(gpu.uuid, ()), log, xids, files))


def _with_log(
    gpu: Gpu, parts: Sequence[GpuPart], log: DriverLog, xids: Xids, files: Mapping[str, str]
) -> Iterator[Gpu]:
    own = log.devices.get(gpu.uuid)
    missing = (log.reason or "it is missing in the driver's log") if own is None else ""
    fault = "" if own is None else own.fault or xids.of(own.bus_id)
    if own is not None and own.is_cut and not parts:
        fault = fault or "MIG mode is on, and no parts are told"
    whole = replace(
        gpu,
        cuda_version=log.cuda_version,
        fault=fault,
        unseen=((f"health: {missing}",) if own is None else own.unseen) + ((xids.reason,) if xids.reason else ()),
        numa_node=Unknown(reason="not told") if own is None else numa_node(own.bus_id, files),
    )
    if parts:
        yield from cut(whole, parts, own)
    else:
        yield whole
