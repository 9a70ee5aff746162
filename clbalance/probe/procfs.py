"""The `proc` section: lines of many small files, each behind the name of its file."""

import re
from collections.abc import Mapping

_CPULIST = re.compile(r".*/node/node([0-9]{1,5})/cpulist")
# The one kind of path with colons in it.
_PCI_NUMA = re.compile(r".*/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/numa_node:(.*)")


def parse_procfs(text: str) -> Mapping[str, str]:
    """The wanted lines of each file, by its path in /proc; NUMA nodes as `node<id>`, PCI devices as `pci/<bus id>`."""
    files: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if device := _PCI_NUMA.fullmatch(line):
            files[f"pci/{device[1]}"] = [device[2]]
            continue
        path, colon, rest = line.partition(":")
        if not colon:
            continue
        numa = _CPULIST.fullmatch(path)
        files.setdefault(f"node{numa[1]}" if numa else path, []).append(rest)
    return {path: "\n".join(lines) for path, lines in files.items()}
