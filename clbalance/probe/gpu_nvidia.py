"""NVIDIA GPUs from `nvidia-smi`: devices, processes on them, and MIG instances.

A malformed line may hide a GPU in use, so it makes all GPUs of the node unknown.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.probe.frame import Section, decimal, whole, words_of
from clbalance.probe.gpu_nvidia_log import DeviceLog, PartLog

_MIB = 1024 * 1024
_MOST_MIB = 2**40
_MOST_PID = 2**22  # PID_MAX_LIMIT of Linux
_MOST_GPUS = 256
_MOST_PROCESSES = 10_000
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}")
# 0; and 14, a damaged infoROM: the numbers are right, with a warning below them.
_TOLD = frozenset({"0", "14"})
# Printed on standard output in place of a table; the first with status 6.
_NONE = ("No devices were found", "No running")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    uuid: str
    process: GpuProcess


def parse_gpus(
    devices: Section, processes: Section, parts: Mapping[str, str] | None = None
) -> tuple[Gpu, ...] | Unknown:
    """The node's GPUs with their processes; none if the node has no `nvidia-smi`.

    `parts` maps the UUID of each MIG part to that of its GPU: a process may be listed under either.
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
        return Unknown(reason=f"more than {_MOST_GPUS} GPUs")
    return _with_processes(gpus, processes, parts or {}) if gpus else ()


def _with_processes(gpus: dict[str, Gpu], section: Section, parts: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    lines = _rows(section)
    if isinstance(lines, Unknown):
        return Unknown(reason=f"GPU processes: {lines.reason}")
    if len(lines) > _MOST_PROCESSES:
        return Unknown(reason=f"more than {_MOST_PROCESSES} GPU processes")
    of: dict[str, list[GpuProcess]] = {uuid: [] for uuid in gpus}
    for line in lines:
        held = _parse_held(line)
        if isinstance(held, Unknown):
            return held
        uuid = parts.get(held.uuid, held.uuid)
        if uuid not in of:
            return Unknown(reason=f"process {held.process.pid} is on a GPU that is not listed")
        of[uuid].append(held.process)
    return tuple(replace(gpu, processes=tuple(of[gpu.uuid])) for gpu in gpus.values())


def _rows(section: Section) -> list[str] | Unknown:
    """The lines of a table; unknown if the tool failed."""
    if section.status is None:
        return Unknown(reason="`nvidia-smi` timed out")
    text = section.text.strip("\n")
    if text.startswith(_NONE):
        return []
    if section.status not in _TOLD:
        return Unknown(reason=words_of(text) or f"`nvidia-smi` failed with {section.status}")
    return [line for line in text.split("\n") if line and not line.startswith("WARNING:")]


def parse_gpu(line: str, cut: frozenset[str] = frozenset()) -> Gpu | Unknown:
    """One device. The model's name may contain commas, so fields are counted from both ends.

    Some drivers report no memory for a GPU in `cut` (split into MIG parts); jobs cannot use that memory anyway.
    """
    match line.split(", "):
        case [uuid, number, *name, total, used, use, temperature, driver] if name:
            index = whole(number, most=_MOST_GPUS)
        case _:
            return Unknown(reason="the output of `nvidia-smi` does not parse")
    if not _UUID.fullmatch(uuid) or index is None:
        return Unknown(reason="the output of `nvidia-smi` does not parse")
    if uuid in cut and total.startswith("["):
        total = used = "0"
    total_mib, used_mib = whole(total, most=_MOST_MIB), whole(used, most=_MOST_MIB)
    if total_mib is None or used_mib is None or used_mib > total_mib:
        text = words_of(f"{used} of {total}", most=80)
        return Unknown(reason=f"memory of GPU {index} is told as {text}")
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
            return Unknown(reason="the list of GPU processes does not parse")
    if pid is None or not _UUID.fullmatch(uuid):
        return Unknown(reason="the list of GPU processes does not parse")
    mib = whole(used, most=_MOST_MIB)
    mem_bytes = Unknown(reason=words_of(used, most=40)) if mib is None else mib * _MIB
    return _Held(uuid=uuid, process=GpuProcess(pid=pid, name=words_of(", ".join(name)), mem_bytes=mem_bytes))


def _decimal(text: str, *, most: float) -> float | Unknown:
    """A number, or unknown with the driver's words: `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]`."""
    number = decimal(text, most=most)
    if number is not None:
        return number
    return Unknown(reason=words_of(text, most=40) if text.startswith("[") else "out of range")


# -- MIG instances: jobs get the parts of a split GPU, not the GPU itself
#
# `nvidia-smi -L` has their UUIDs, `nvidia-smi -q` their memory and processes. A part without an entry in the second
# may be in use, so it is shown and unfit.

_WHOLE = re.compile(r"GPU [0-9]{1,3}: .*\(UUID: (GPU-[0-9A-Za-z/-]{1,80})\)")
_PART = re.compile(r" +MIG ([0-9a-z.+]{1,40}) +Device +([0-9]{1,3}): \(UUID: (MIG-[0-9A-Za-z/-]{1,80})\)")
_MOST_NUMBER = 999
_MOST_PARTS = 64  # the hardware has seven
_NOT_MEASURED = Unknown(reason="not measured on a part of a GPU")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPart:
    """One MIG instance of `nvidia-smi -L`; `profile` is its size, such as `1g.5gb`."""

    uuid: str
    number: int
    profile: str


def parse_parts(section: Section) -> Mapping[str, Sequence[GpuPart]]:
    """The parts of each split GPU, by the GPU's UUID."""
    parts: dict[str, list[GpuPart]] = {}
    parent = ""
    for line in section.text.split("\n"):
        if found := _WHOLE.fullmatch(line):
            parent = found[1]
        elif (found := _PART.fullmatch(line)) and parent:
            number = whole(found[2], most=_MOST_NUMBER) or 0
            some = parts.setdefault(parent, [])
            if len(some) < _MOST_PARTS:
                some.append(GpuPart(uuid=found[3], number=number, profile=found[1]))
    return parts


def cut(gpu: Gpu, parts: Sequence[GpuPart], log: DeviceLog | None) -> Iterator[Gpu]:
    """The parts of one GPU as devices; `gpu` has the processes that are listed for the whole GPU."""
    known = {part.number: part for part in log.parts} if log else {}
    placed = log.processes if log else ()
    # A process of the GPU that is on no known part may be on any of them.
    unplaced = [process for process in gpu.processes if process.pid not in {one.pid for _, one in placed}]
    for part in parts:
        yield _device(gpu, part, known.get(part.number), [*_processes_on(known.get(part.number), placed), *unplaced])


def _processes_on(part: PartLog | None, placed: Sequence[tuple[tuple[str, str], GpuProcess]]) -> list[GpuProcess]:
    return [process for ids, process in placed if part is not None and ids == part.ids]


def _device(gpu: Gpu, part: GpuPart, log: PartLog | None, processes: Sequence[GpuProcess]) -> Gpu:
    return replace(
        gpu,
        uuid=part.uuid,
        model=f"{gpu.model} MIG {part.profile}",
        mem_total_bytes=log.mem_total_bytes if log else 0,
        mem_used_bytes=log.mem_used_bytes if log else 0,
        use_pct=_NOT_MEASURED,
        processes=tuple(processes),
        parent=gpu.uuid,
        fault=gpu.fault or ("" if log else "who uses this part is not told"),
    )
