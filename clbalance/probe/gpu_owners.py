"""Whose the processes on GPUs are, and of which jobs: lines `PID PARENT UID NAME` of them and of their ancestors.

A job's supervisor adopts the orphans below it, so it is an ancestor of every process of the job; it is the process that
holds the job's lease. A process in a container, whose parent is a daemon, belongs to no job here.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.probe.frame import Section, words_of

_SECTIONS = ("gpu_owners", "amd_owners")
_LINE = re.compile(r"([0-9]{1,7}) ([0-9]{1,7}) ([0-9]{1,10}) (.*)")
_MOST_UID = 2**32
_MOST_DEPTH = 64  # the probe sends 32 at most; a loop can only come from a node that lies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    parent: int
    uid: int
    name: str


def with_owners(gpus: tuple[Gpu, ...], sections: Mapping[str, Section], holders: Mapping[int, str]) -> tuple[Gpu, ...]:
    """The devices, their processes with owners and jobs. `holders`: names of leases by the pids of supervisors."""
    table = {pid: process for name in _SECTIONS if name in sections for pid, process in _table(sections[name].text)}
    return tuple(
        gpu
        if isinstance(gpu.processes, Unknown)
        else replace(gpu, processes=tuple(_with_owner(one, table, holders) for one in gpu.processes))
        for gpu in gpus
    )


def are_told(sections: Mapping[str, Section]) -> bool:
    """Whether the node was asked for them, and has any."""
    return any(name in sections for name in _SECTIONS)


def _table(text: str) -> list[tuple[int, _Process]]:
    found = (match for line in text.split("\n") if (match := _LINE.fullmatch(line)) and int(match[3]) < _MOST_UID)
    return [
        (int(one[1]), _Process(parent=int(one[2]), uid=int(one[3]), name=words_of(one[4], most=40))) for one in found
    ]


def _with_owner(process: GpuProcess, table: Mapping[int, _Process], holders: Mapping[int, str]) -> GpuProcess:
    own = table.get(process.pid)
    if own is None:
        return process
    # Where the driver may not tell a program's name, it has a word in brackets in its place.
    name = own.name if process.name.startswith("[") else process.name
    return replace(process, name=name, uid=own.uid, lease=_lease_of(process.pid, table, holders))


def _lease_of(pid: int, table: Mapping[int, _Process], holders: Mapping[int, str]) -> str:
    for _ in range(_MOST_DEPTH):
        if pid in holders:
            return holders[pid]
        if pid not in table:
            break
        pid = table[pid].parent
    return ""
