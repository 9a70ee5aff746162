"""`nvidia-smi -q`: what is wrong with each GPU, which CUDA its driver runs, and what is on its MIG instances.

The log is a tree by indent, and the probe sends only lines that are looked at here. What a driver does not know is
not in it, or `N/A`; nothing here makes a GPU unknown.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import GpuProcess, Unknown
from clbalance.probe.bounded import whole, words_of
from clbalance.probe.frame import Section
from clbalance.probe.nvidia_health import Line, fault_of, unseen_of

_MIB = 1024 * 1024
_MOST_MIB = 2**40
_MOST_PID = 2**22  # PID_MAX_LIMIT of Linux
_MOST_ID = 10_000
_GPU = re.compile(r"GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])")
_CUDA = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")
_MIB_VALUE = re.compile(r"([0-9]{1,12}) MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLog:
    """A MIG instance as the log has it: its number on its device, and the ids by which processes name it."""

    number: int
    ids: tuple[str, str]
    mem_total_bytes: int
    mem_used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLog:
    """What the log says of one GPU."""

    bus_id: str
    fault: str
    unseen: tuple[str, ...]
    is_cut: bool
    """MIG mode is on."""
    parts: tuple[PartLog, ...]
    processes: tuple[tuple[tuple[str, str], GpuProcess], ...]
    """With the ids of the instance that each is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLog:
    """The whole log; `why` nothing is in it, or empty."""

    cuda_version: str = ""
    devices: Mapping[str, DeviceLog] = field(default_factory=dict)
    """By UUID."""
    why: str = ""


def parse_nvidia_log(section: Section) -> DriverLog:
    """What can be read of it; of a log that was cut off that is nothing, for the end may be what is wrong."""
    if section.status is None:
        return DriverLog(why="`nvidia-smi -q` timed out")
    lines = list(_lines(section.text))
    cuda = next((line.value or "" for line in lines if line.path == () and line.key == "CUDA Version"), "")
    devices: dict[str, DeviceLog] = {}
    for bus_id, own in _by_gpu(lines):
        uuid = next((line.value for line in own if line.key == "GPU UUID"), "")
        if uuid:
            devices[uuid] = _device(bus_id, own)
    why = "" if devices else words_of(section.text) or f"`nvidia-smi -q` failed with {section.status}"
    return DriverLog(cuda_version=cuda if _CUDA.fullmatch(cuda) else "", devices=devices, why=why)


def _lines(text: str) -> Iterator[Line]:
    """Each line with the headings that it stands under; a key with a value is a heading too, as `Process ID` is."""
    above: list[tuple[int, str]] = []
    for raw in text.split("\n"):
        key, colon, value = raw.strip().partition(" : ")
        if not key:
            continue
        indent = len(raw) - len(raw.lstrip(" "))
        while above and above[-1][0] >= indent:
            above.pop()
        yield Line(path=tuple(heading for _, heading in above), key=key.strip(), value=value.strip() if colon else None)
        if len(above) < 16:
            above.append((indent, key.strip()))


def _by_gpu(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    own: list[Line] = []
    bus_id = ""
    for line in lines:
        if line.path == () and (found := _GPU.fullmatch(line.key)):
            if bus_id:
                yield bus_id, own
            bus_id, own = found[1].lower(), []
        else:
            own.append(line)
    if bus_id:
        yield bus_id, own


def _device(bus_id: str, lines: Sequence[Line]) -> DeviceLog:
    whole_device = [line for line in lines if "MIG Device" not in line.path]
    return DeviceLog(
        bus_id=bus_id,
        fault=fault_of(whole_device),
        unseen=unseen_of(whole_device),
        is_cut=any(
            line.key == "Current" and line.path[-1:] == ("MIG Mode",) and line.value == "Enabled" for line in lines
        ),
        parts=tuple(_parts(lines)),
        processes=tuple(_processes(lines)),
    )


def _parts(lines: Sequence[Line]) -> Iterator[PartLog]:
    found: dict[str, str] = {}
    for line in lines:
        if line.key == "MIG Device":
            found = {}
        elif "MIG Device" in line.path and line.value is not None:
            found[line.key if line.path[-1] == "MIG Device" else f"{line.path[-1]}/{line.key}"] = line.value
            # The last of what is wanted.
            if line.key == "Used" and line.path[-1] == "FB Memory Usage" and (part := _part(found)):
                yield part


def _part(found: Mapping[str, str]) -> PartLog | None:
    number = whole(found.get("Index", ""), most=_MOST_ID)
    total, used = (_mib(found.get(f"FB Memory Usage/{key}", "")) for key in ("Total", "Used"))
    if number is None or total is None or used is None or used > total:
        return None
    ids = (found.get("GPU Instance ID", ""), found.get("Compute Instance ID", ""))
    return PartLog(number=number, ids=ids, mem_total_bytes=total, mem_used_bytes=used)


def _processes(lines: Sequence[Line]) -> Iterator[tuple[tuple[str, str], GpuProcess]]:
    """Each as it begins with the next or ends the log: what is told of it follows its id."""
    ids, pid, told = ["", ""], None, dict[str, str]()
    for line in (*lines, Line(path=("Processes",), key="Process ID", value="")):
        if "Processes" not in line.path or line.value is None:
            continue
        match line.key.lower():
            case "process id":
                if pid is not None:
                    yield (ids[0], ids[1]), _process(pid, told)
                pid, told = whole(line.value, most=_MOST_PID), {}
            case "gpu instance id" | "compute instance id" as which:
                if pid is not None:
                    yield (ids[0], ids[1]), _process(pid, told)
                    pid = None
                ids[which.startswith("compute")] = line.value
            case _:
                told[line.key] = line.value


def _process(pid: int, told: Mapping[str, str]) -> GpuProcess:
    used = told.get("Used GPU Memory", "not told")
    mem_bytes = _mib(used)
    why = Unknown(why=words_of(used, most=40) or "not told")
    return GpuProcess(pid=pid, name=words_of(told.get("Name", "")), mem_bytes=why if mem_bytes is None else mem_bytes)


def _mib(text: str) -> int | None:
    found = _MIB_VALUE.fullmatch(text)
    mib = whole(found[1], most=_MOST_MIB) if found else None
    return None if mib is None else mib * _MIB
