"""Errors that NVIDIA's driver wrote to the kernel's log (Xids), if users of the node may read the log.

Most Xids are faults of a program. The ones in `_GRAVE` leave a device unfit until it is reset. The log does not show
resets, so they count until the node is rebooted, until the driver reports that nothing more has to be done, or until
the log is cleared (`dmesg --clear`).
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.probe.frame import Section, whole, words_of

# `(PCI:0000:3b:00)`, with a MIG instance `(PCI:0000:3b:00 GPU-I:05)`; of older drivers `(0000:3b:00)` and `(3b:00)`.
_XID: Final = re.compile(
    r".*NVRM: Xid \((?:PCI:)?((?:[0-9A-Fa-f]{1,8}:)?[0-9A-Fa-f]{1,2}:[0-9A-Fa-f]{1,2})(?:\.[0-7])?(?: [^)]*)?\): "
    r"([0-9]{1,4})(?:, *(.*))?"
)
_WHO: Final = re.compile(r"(pid=[^,]*, )?(name=[^,]*, )?")
_MOST: Final = 9_999
# The catalog in NVIDIA's "Xid Errors" (docs.nvidia.com/deploy/xid-errors): those whose immediate action is to reset the
# GPU or to restart the machine; and 48, 54 and 74, whose description says that a reset or a repair is needed. Not 109
# (a context switch that took too long), which NVIDIA's device plugin for Kubernetes counts as the fault of a program;
# nor 155, which is also logged when a link goes to sleep.
_GRAVE: Final = {
    46: "GPU stopped processing",
    48: "double bit ECC error",
    54: "auxiliary power is not connected",
    62: "internal micro-controller halt",
    64: "ECC page retirement or row remapper failure",
    74: "NVLink error",
    79: "fallen off the bus",
    95: "uncontained ECC error",
    110: "security fault",
    119: "GSP timeout",
    120: "GSP error",
    136: "link training failed",
    140: "unrecovered ECC error",
    143: "initialisation failed",
    156: "resource retirement",
    158: "fatal timeout",
}
_NVLINK: Final = range(144, 151)
"""Errors of NVLink 5: grave if the driver calls them fatal."""
_FATAL: Final = re.compile(r"\bFatal\b")
_RECOVERY: Final = 154
"""The recovery action that the driver asks for; `(None)` at the end: nothing needs to be done any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Xids:
    """The last grave Xid of each device, by its PCI address; `reason`: why the log could not be read, or empty."""

    faults: Mapping[tuple[int, ...], str] = field(default_factory=dict)
    reason: str = ""

    def of(self, bus_id: str) -> str:
        """The fault of the device with this bus id; empty: none."""
        return self.faults.get(_address(bus_id), "")


def parse_xids(section: Section) -> Xids:
    """The grave Xids of the log; later lines replace earlier ones."""
    if section.status is None:
        return Xids(reason="Xids: `dmesg` timed out")
    if section.status != "0":
        return Xids(reason=f"Xids: reading the kernel's log failed with {section.status}")
    lines = section.text.split("\n")
    if "not told" in lines:
        return Xids(reason="Xids: the kernel's log is not for users of this node")
    faults: dict[tuple[int, ...], str] = {}
    for line in lines:
        if not (found := _XID.fullmatch(line)):
            continue
        address, number = _address(found[1]), whole(found[2], most=_MOST) or 0
        said = words_of(_WHO.sub("", found[3] or "", count=1), most=80).rstrip(".")
        if number == _RECOVERY and said.endswith("(None)"):
            faults.pop(address, None)
        elif number in _GRAVE or number == _RECOVERY or (number in _NVLINK and _FATAL.search(said)):
            faults[address] = f"Xid {number}: {said or _GRAVE.get(number, '')}".removesuffix(": ")
    return Xids(faults=faults)


def _address(bus_id: str) -> tuple[int, ...]:
    """Domain, bus and device. The log omits the function, and tools write four or eight digits of domain."""
    numbers = [int(part, 16) for part in bus_id.partition(".")[0].split(":") if part]
    return (0, *numbers)[-3:]
