"""The `proc` section: lines of many small files, each behind the name of its file."""

import re
from collections.abc import Mapping

_CPULIST = re.compile(r".*/node/node([0-9]{1,5})/cpulist")


def parse_procfs(text: str) -> Mapping[str, str]:
    """The wanted lines of each file, by its path below /proc; NUMA nodes as `node<id>`."""
    files: dict[str, list[str]] = {}
    for line in text.split("\n"):
        path, colon, rest = line.partition(":")
        if not colon:
            continue
        numa = _CPULIST.fullmatch(path)
        files.setdefault(f"node{numa[1]}" if numa else path, []).append(rest)
    return {path: "\n".join(lines) for path, lines in files.items()}
