"""NVIDIA GPUs from `nvidia-smi`: devices, processes on them, and MIG instances.

A sick device costs itself only: it is faulty, or what it does not tell is unknown. What may concern any device, such
as a list of processes that was cut off, makes that unknown on all of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

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
# Printed on standard output in place of a table; the first with status 6, and in place of any table.
NO_DEVICES = "No devices were found"
_NO_PROCESSES = "No running"
# In place of a figure, or of a whole row. The words are those of nvmlErrorString().
_ERROR = re.compile(r"\[?(Unknown Error|GPU is lost|GPU requires re(?:set|start)|ERR!|Not Found|Timeout)\]?")
_NEEDS_RESET = re.compile(r"\[?(GPU is lost|GPU requires re(?:set|start))\]?")
# `GPU3: 0000:5F:00.0: Unknown Error`, `GPU0000:3B:00.0: Unknown Error`, `GPU 0000:0E:00.0: GPU is lost.`: the form
# depends on the driver. The rows of the other devices are beside this line, and the status is not 0.
_LOST = re.compile(
    r"Unable to determine the device handle for (?:GPU|gpu) ?(?:([0-9]{1,3}): ?)?"
    r"(?:((?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]): ?)?(.*)"
)
_NO_INDEX = -1
_NOT_TOLD = Unknown(reason="not told")


def parse_gpus(
    devices: Section, processes: Section, parts: Mapping[str, str] | None = None
) -> tuple[Gpu, ...] | Unknown:
    """The node's GPUs with their processes; none if the node has no `nvidia-smi`.

    `parts` maps the UUID of each MIG part to that of its GPU: a process may be listed under either.
    """
    if devices.status == "absent":
        return ()
    if devices.status is None:
        return Unknown(reason="`nvidia-smi` timed out")
    lines = _lines(devices)
    found = {gpu.uuid: gpu for gpu in sorted(_devices(lines), key=lambda gpu: gpu.index)}
    if len(found) > _MOST_GPUS:
        return Unknown(reason=f"more than {_MOST_GPUS} GPUs")
    if not found and (lines or devices.status not in _TOLD) and not devices.text.lstrip("\n").startswith(NO_DEVICES):
        return Unknown(reason=words_of("\n".join(lines)) or f"`nvidia-smi` failed with {devices.status}")
    held = parse_processes(processes, frozenset(found), parts or {})
    return tuple(
        replace(gpu, processes=held if isinstance(held, Unknown) else held[gpu.uuid]) for gpu in found.values()
    )


def _lines(section: Section) -> list[str]:
    return [line for line in section.text.split("\n") if line and not line.startswith("WARNING:")]


def _devices(lines: Sequence[str]) -> Iterator[Gpu]:
    """The devices. Those that did not tell their index get the numbers that are left: the driver counts them too."""
    found = [gpu for gpu in map(parse_gpu, lines) if gpu is not None]
    taken = {gpu.index for gpu in found}
    left = (number for number in count() if number not in taken)
    for gpu in found:
        index = next(left) if gpu.index == _NO_INDEX else gpu.index
        yield replace(gpu, index=index, uuid=gpu.uuid or f"GPU-nvidia-{index}")


def parse_gpu(line: str) -> Gpu | None:
    """The device of a line; None if it is about none. Without a UUID if it tells none.

    The model's name may contain commas, so fields are counted from both ends.
    """
    if lost := _LOST.fullmatch(line):
        reason = words_of(lost[3], most=60).rstrip(".") or "its driver does not find it"
        return replace(_untold("", reason), index=_index(lost[1] or ""), bus_id=(lost[2] or "").lower())
    match line.split(", "):
        case [uuid, number, *name, total, used, use, temperature, driver] if name and _is_row(uuid, number):
            return _told(uuid, number, ", ".join(name), (total, used, use, temperature), driver)
        case [uuid, *_] if _UUID.fullmatch(uuid):
            return _untold(uuid, "the output of `nvidia-smi` does not parse")
        case [word] if error := _ERROR.fullmatch(word):
            return _untold("", error[1])
        case _:
            return None


def _is_row(uuid: str, number: str) -> bool:
    return _UUID.fullmatch(uuid) is not None or (uuid.startswith("[") and whole(number, most=_MOST_GPUS) is not None)


def _told(uuid: str, number: str, name: str, figures: tuple[str, str, str, str], driver: str) -> Gpu:
    total, used, use, temperature = figures
    reset = next((found[1] for word in (uuid, name, *figures) if (found := _NEEDS_RESET.fullmatch(word))), "")
    total_bytes, used_bytes = _size(total), _size(used)
    if isinstance(total_bytes, int) and isinstance(used_bytes, int) and used_bytes > total_bytes:
        used_bytes = Unknown(reason=words_of(f"{used} MiB used of {total}", most=80))
    has_uuid = _UUID.fullmatch(uuid) is not None
    return Gpu(
        uuid=uuid if has_uuid else "",
        index=_index(number),
        model=words_of(name),
        mem_total_bytes=total_bytes,
        mem_used_bytes=used_bytes,
        use_pct=_figure(use, most=100.0),
        temperature_c=_figure(temperature, most=200.0),
        driver_version=words_of(driver, most=40),
        fault=reset or ("" if has_uuid else f"it tells no UUID: {words_of(uuid, most=40)}"),
    )


def _untold(uuid: str, reason: str) -> Gpu:
    """A device of which nothing but perhaps its UUID is known."""
    unknown = Unknown(reason=reason)
    return Gpu(
        uuid=uuid,
        index=_NO_INDEX,
        model="NVIDIA GPU",
        mem_total_bytes=unknown,
        mem_used_bytes=unknown,
        use_pct=unknown,
        temperature_c=unknown,
        driver_version="",
        fault="" if uuid else reason,
    )


def _index(text: str) -> int:
    number = whole(text, most=_MOST_GPUS)
    return _NO_INDEX if number is None else number


def _size(text: str) -> int | Unknown:
    mib = whole(text, most=_MOST_MIB)
    return _said(text) if mib is None else mib * _MIB


def _figure(text: str, *, most: float) -> float | Unknown:
    number = decimal(text, most=most)
    return _said(text) if number is None else number


def _said(text: str) -> Unknown:
    """The driver's words: `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]`, `[Unknown Error]`, `ERR!`."""
    return Unknown(reason=words_of(text, most=40) if any(map(str.isalpha, text)) else "out of range")


def parse_processes(
    section: Section, gpus: frozenset[str], parts: Mapping[str, str]
) -> Mapping[str, tuple[GpuProcess, ...] | Unknown] | Unknown:
    """The processes on each of `gpus`; unknown on all if a line may concern any of them."""
    if section.text.lstrip("\n").startswith(_NO_PROCESSES) and section.status is not None:
        return dict.fromkeys(gpus, ())
    lines = _lines(section)
    if reason := _why_incomplete(section.status, lines):
        return Unknown(reason=reason)
    found: dict[str, list[GpuProcess | Unknown]] = {uuid: [] for uuid in gpus}
    for line in lines:
        uuid, *fields = line.split(", ")
        device = parts.get(uuid, uuid)
        if device in found:
            found[device].append(_process(fields))
        elif uuid.startswith("MIG-"):
            return Unknown(reason="a process is on a MIG instance that is not listed")
        elif not uuid.startswith("GPU-") and len(fields) >= _FIELDS_OF_PROCESS:
            return Unknown(reason="the list of GPU processes does not parse")
    return {uuid: _all_known(some) for uuid, some in found.items()}


def _why_incomplete(status: str | None, lines: Sequence[str]) -> str:
    """Why the list may lack processes; empty: it is complete, but for those of devices that are said to be lost."""
    if status is None:
        return "`nvidia-smi` timed out"
    if len(lines) > _MOST_PROCESSES:
        return f"more than {_MOST_PROCESSES} GPU processes"
    if NO_DEVICES in lines:  # the driver was not there for a moment
        return NO_DEVICES
    if status in _TOLD or any(map(_LOST.fullmatch, lines)):
        return ""
    return words_of("\n".join(lines)) or f"`nvidia-smi` failed with {status}"


_FIELDS_OF_PROCESS = 3
"""After the UUID. Lines with fewer are warnings, or the rest of a program's name with a newline in it, whose first line
has made its device's processes unknown."""


def _process(fields: Sequence[str]) -> GpuProcess | Unknown:
    match fields:
        case [number, *name, used] if name and (pid := whole(number, most=_MOST_PID)) is not None:
            mib = whole(used, most=_MOST_MIB)
            mem_bytes = Unknown(reason=words_of(used, most=40)) if mib is None else mib * _MIB
            return GpuProcess(pid=pid, name=words_of(", ".join(name)), mem_bytes=mem_bytes)
        case _:
            return Unknown(reason="the list of GPU processes does not parse")


def _all_known(processes: Sequence[GpuProcess | Unknown]) -> tuple[GpuProcess, ...] | Unknown:
    known = tuple(process for process in processes if isinstance(process, GpuProcess))
    return known if len(known) == len(processes) else next(one for one in processes if isinstance(one, Unknown))


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
    for part in parts:
        yield _device(gpu, part, known.get(part.number), _processes_on(known.get(part.number), gpu, log))


def _processes_on(part: PartLog | None, gpu: Gpu, log: DeviceLog | None) -> tuple[GpuProcess, ...] | Unknown:
    """The processes of the part, and those of the GPU that are on no known part: they may be on any of them."""
    if isinstance(gpu.processes, Unknown):
        return gpu.processes
    placed = log.processes if log else ()
    unplaced = [process for process in gpu.processes if process.pid not in {one.pid for _, one in placed}]
    return (*(process for ids, process in placed if part is not None and ids == part.ids), *unplaced)


def _device(gpu: Gpu, part: GpuPart, log: PartLog | None, processes: tuple[GpuProcess, ...] | Unknown) -> Gpu:
    return replace(
        gpu,
        uuid=part.uuid,
        model=f"{gpu.model} MIG {part.profile}",
        mem_total_bytes=log.mem_total_bytes if log else _NOT_TOLD,
        mem_used_bytes=log.mem_used_bytes if log else _NOT_TOLD,
        use_pct=_NOT_MEASURED,
        processes=processes,
        parent=gpu.uuid,
        fault=gpu.fault or ("" if log else "who uses this part is not told"),
    )
