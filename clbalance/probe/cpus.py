"""What the cpus are and how they lie: `/proc/stat`, `/proc/cpuinfo`, `/sys/devices/system/node/*/cpulist`."""

from collections.abc import Mapping
from itertools import pairwise

from clbalance.model import Cpus, NumaNode, Unknown
from clbalance.probe.bounded import whole, words_of
from clbalance.probe.stat import MOST_CPUS, parse_online

_MOST_NODES = 1_024


def parse_cpus(files: Mapping[str, str]) -> Cpus | Unknown:
    """The online cpus; model and NUMA facts are extras, empty where they are not told or nonsense."""
    online = parse_online(files.get("stat", ""))
    if isinstance(online, Unknown):
        return online
    _, _, model = files.get("cpuinfo", "").partition(":")
    return Cpus(online=online, model=words_of(model), numa=parse_numa(files))


def parse_numa(files: Mapping[str, str]) -> tuple[NumaNode, ...]:
    """The memory domains that have cpus, by id; none at all if one of them is nonsense."""
    nodes: list[NumaNode] = []
    left = MOST_CPUS
    for name, cpulist in files.items():
        if not name.startswith("node"):
            continue
        node = whole(name.removeprefix("node"), most=_MOST_NODES)
        cpus = parse_cpulist(cpulist, most=left)
        if node is None or cpus is None:
            return ()
        left -= len(cpus)
        nodes.append(NumaNode(id=node, cpus=cpus))
    return tuple(sorted(nodes, key=lambda node: node.id))


def parse_cpulist(text: str, *, most: int = MOST_CPUS) -> tuple[int, ...] | None:
    """The cpu ids of `0-3,8`, in order and at most so many; None if it is not such a list."""
    cpus: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = whole(low, most=MOST_CPUS - 1)
        last = whole(high, most=MOST_CPUS - 1) if dash else first
        # Judged before it is made: a few bytes can name many cpus.
        if first is None or last is None or last < first or len(cpus) + last - first >= most:
            return None
        cpus.extend(range(first, last + 1))
    return tuple(cpus) if all(a < b for a, b in pairwise(cpus)) else None
