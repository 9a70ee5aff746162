"""Errors that NVIDIA's driver wrote to the kernel's log (Xids), as far as the node lets its users read that.

Most are a program's own fault. Those here leave a device unfit until it is reset (NVIDIA, "Xid Errors"). A log does
not tell of a reset, so they count until the node is booted or its log is cleared (`dmesg --clear`).
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.probe.bounded import whole, words_of
from clbalance.probe.frame import Section

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
"""Tells what the driver wants done; `(None)` at its end says that nothing is any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Xids:
    """The last grave one of each device, by the beginning of its bus id; `why` none could be seen, or empty."""

    faults: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    def of(self, bus_id: str) -> str:
        """What the log holds against the device on this bus, or nothing."""
        return self.faults.get(_short(bus_id), "")


def parse_xids(section: Section) -> Xids:
    """In the order of the log, so that what comes later counts."""
    if section.status is None:
        return Xids(why="Xids: `dmesg` timed out")
    lines = section.text.split("\n")
    if "not told" in lines:
        return Xids(why="Xids: the kernel's log is not for users of this node")
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
    """Domain of four digits, bus and device: the log knows no function, and the tool writes eight digits."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest.partition('.')[0]}"
