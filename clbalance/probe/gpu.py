"""`nvidia-smi` as CSV without header and units: devices, and the processes that hold memory on them.

A GPU that is not wholly understood might be in use, so a line that does not parse makes all GPUs unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.probe.bounded import decimal, whole, words_of
from clbalance.probe.frame import Section

_MIB = 1024 * 1024
_MOST_MIB = 2**40
_MOST_PID = 2**22  # PID_MAX_LIMIT of Linux
_MOST_GPUS = 256
_MOST_PROCESSES = 10_000
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}")
# 0; and 14, a damaged infoROM: the figures are right, with a warning below them.
_TOLD = frozenset({"0", "14"})
# Said on standard output where a table was asked for; the first with status 6.
_NONE = ("No devices were found", "No running")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    uuid: str
    process: GpuProcess


def parse_gpus(
    devices: Section, processes: Section, parts: Mapping[str, str] | None = None
) -> tuple[Gpu, ...] | Unknown:
    """The node's GPUs with their processes; none where the node has no `nvidia-smi`.

    `parts` names the GPU of each part by their UUIDs: a process may be listed for either.
    """
    if devices.status == "absent":
        return ()
    lines = _rows(devices)
    if isinstance(lines, Unknown):
        return lines
    gpus: dict[str, Gpu] = {}
    cut = frozenset((parts or {}).values())
    for line in lines[: _MOST_GPUS + 1]:
        gpu = parse_gpu(line, cut)
        if isinstance(gpu, Unknown):
            return gpu
        gpus[gpu.uuid] = gpu
    if len(gpus) > _MOST_GPUS:
        return Unknown(why=f"more than {_MOST_GPUS} GPUs")
    return _with_processes(gpus, processes, parts or {}) if gpus else ()


def _with_processes(gpus: dict[str, Gpu], section: Section, parts: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    lines = _rows(section)
    if isinstance(lines, Unknown):
        return Unknown(why=f"GPU processes: {lines.why}")
    if len(lines) > _MOST_PROCESSES:
        return Unknown(why=f"more than {_MOST_PROCESSES} GPU processes")
    of: dict[str, list[GpuProcess]] = {uuid: [] for uuid in gpus}
    for line in lines:
        held = _parse_held(line)
        if isinstance(held, Unknown):
            return held
        uuid = parts.get(held.uuid, held.uuid)
        if uuid not in of:
            return Unknown(why=f"process {held.process.pid} is on a GPU that is not listed")
        of[uuid].append(held.process)
    return tuple(replace(gpu, processes=tuple(of[gpu.uuid])) for gpu in gpus.values())


def _rows(section: Section) -> list[str] | Unknown:
    """The lines with figures."""
    if section.status is None:
        return Unknown(why="`nvidia-smi` timed out")
    text = section.text.strip("\n")
    if text.startswith(_NONE):
        return []
    if section.status not in _TOLD:
        return Unknown(why=words_of(text) or f"`nvidia-smi` failed with {section.status}")
    return [line for line in text.split("\n") if line and not line.startswith("WARNING:")]


def parse_gpu(line: str, cut: frozenset[str] = frozenset()) -> Gpu | Unknown:
    """One device. The model's name may have commas in it, so fields are counted from both ends.

    Of those that are `cut` into parts some drivers tell no memory; it is none that a job could have.
    """
    match line.split(", "):
        case [uuid, number, *name, total, used, use, temperature, driver] if name:
            index = whole(number, most=_MOST_GPUS)
        case _:
            return Unknown(why="the output of `nvidia-smi` does not parse")
    if not _UUID.fullmatch(uuid) or index is None:
        return Unknown(why="the output of `nvidia-smi` does not parse")
    if uuid in cut and total.startswith("["):
        total = used = "0"
    total_mib, used_mib = whole(total, most=_MOST_MIB), whole(used, most=_MOST_MIB)
    if total_mib is None or used_mib is None or used_mib > total_mib:
        told = words_of(f"{used} of {total}", most=80)
        return Unknown(why=f"memory of GPU {index} is told as {told}")
    return Gpu(
        uuid=uuid,
        index=index,
        model=words_of(", ".join(name)),
        mem_total_bytes=total_mib * _MIB,
        mem_used_bytes=used_mib * _MIB,
        use_pct=_decimal(use, most=100.0),
        temperature_c=_decimal(temperature, most=200.0),
        driver_version=words_of(driver, most=40),
    )


def _parse_held(line: str) -> _Held | Unknown:
    match line.split(", "):
        case [uuid, number, *name, used] if name:
            pid = whole(number, most=_MOST_PID)
        case _:
            return Unknown(why="the list of GPU processes does not parse")
    if pid is None or not _UUID.fullmatch(uuid):
        return Unknown(why="the list of GPU processes does not parse")
    mib = whole(used, most=_MOST_MIB)
    mem_bytes = Unknown(why=words_of(used, most=40)) if mib is None else mib * _MIB
    return _Held(uuid=uuid, process=GpuProcess(pid=pid, name=words_of(", ".join(name)), mem_bytes=mem_bytes))


def _decimal(text: str, *, most: float) -> float | Unknown:
    """A figure, or the driver's own words: `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]`."""
    number = decimal(text, most=most)
    if number is not None:
        return number
    return Unknown(why=words_of(text, most=40) if text.startswith("[") else "out of range")
