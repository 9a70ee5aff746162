"""Where a PCI device hangs: `/sys/bus/pci/drivers/*/<bus id>/numa_node`."""

from collections.abc import Mapping

from clbalance.model import Unknown
from clbalance.probe.bounded import whole

_MOST = 1_024


def numa_node(bus_id: str, files: Mapping[str, str]) -> int | Unknown:
    """The memory domain of the device on this bus; tools write its domain with four digits or eight."""
    domain, _, rest = bus_id.lower().partition(":")
    told = files.get(f"pci/{domain[-4:]}:{rest}", "")
    node = whole(told, most=_MOST)
    if node is not None:
        return node
    # -1: the firmware says nothing, as on machines with one domain.
    return Unknown(why="the machine tells none" if told == "-1" else "not told")
