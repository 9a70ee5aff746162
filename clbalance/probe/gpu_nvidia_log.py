"""`nvidia-smi -q`: the faults of each GPU, the driver's CUDA version, and checks that were not possible.

The log is a tree by indentation, and the probe sends only the lines that are used here. A value that the driver does
not know is missing or `N/A`; no line here makes a GPU unknown.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import GpuProcess, Unknown
from clbalance.probe.frame import Section, whole, words_of

# -- faults of one GPU, from its lines, and checks that were not possible

_MOST: Final = 10**12
_CELSIUS: Final = re.compile(r"(-?[0-9]{1,3}) C")
_NOTHING: Final = ("None", "N/A", "Unknown Error", "", None)
_INSTEAD_OF_FIGURES: Final = frozenset({"GPU is lost", "GPU requires reset", "GPU requires restart"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of the log, with the headings above it; a heading has no value."""

    path: tuple[str, ...]
    key: str
    value: str | None


def fault_of(lines: Sequence[LogLine]) -> str:
    """The gravest fault, in few words; empty: none."""
    return next((fault for look in _LOOKS for fault in look(lines)), "")


def unseen_of(lines: Sequence[LogLine]) -> tuple[str, ...]:
    """Checks that this driver or this model does not support."""
    missing = []
    if not _uncorrected(lines):
        missing.append("ECC errors: not told")
    if not _values(lines, "Retired Pages", "Pending") and not _values(lines, "Remapped Rows", "Remapping"):
        missing.append("page retirement and row remapping: not told")
    if _degrees(lines, "GPU Slowdown Temp") is None and _degrees(lines, "GPU Slowdown T.Limit Temp") is None:
        missing.append("temperature limits: not told")
    return tuple(missing)


def _recovery(lines: Sequence[LogLine]) -> Iterator[str]:
    for line in lines:
        if line.key == "GPU Recovery Action" and line.value not in _NOTHING:
            yield f"its driver asks for recovery: {words_of(line.value or '', most=40)}"
        elif line.value in _INSTEAD_OF_FIGURES:
            yield line.value


def _reset(lines: Sequence[LogLine]) -> Iterator[str]:
    for what, text in (
        ("Reset Required", "a reset is required"),
        ("Drain and Reset", "a drain and reset is recommended"),
    ):
        if "Yes" in _values(lines, "GPU Reset Status", what):
            yield text


def _ecc(lines: Sequence[LogLine]) -> Iterator[str]:
    count = sum(_uncorrected(lines))
    if count:
        yield f"{count} uncorrected ECC error{'s' if count > 1 else ''}"


def _uncorrected(lines: Sequence[LogLine]) -> list[int]:
    """Error counts since the driver was loaded: one for each kind of memory; on older devices the double bit errors."""
    values = (
        whole(line.value or "", most=_MOST)
        for line in lines
        if "Volatile" in line.path
        and ("Uncorrectable" in line.key or ("Double Bit" in line.path and line.key == "Total"))
    )
    return [value for value in values if value is not None]


def _memory(lines: Sequence[LogLine]) -> Iterator[str]:
    if "Yes" in _values(lines, "Retired Pages", "Pending"):
        yield "page retirement pending"
    if "Yes" in _values(lines, "Remapped Rows", "Remapping Failure"):
        yield "row remapping failed"
    if "Yes" in _values(lines, "ECC Errors", "Unrepairable Memory"):
        yield "unrepairable memory"
    # Of the whole life of the device: it has to be replaced (NVIDIA, "Xid Errors", on Xid 48).
    if "Yes" in _values(lines, "ECC Errors", "SRAM Threshold Exceeded"):
        yield "more SRAM errors than a device may have"


def _heat(lines: Sequence[LogLine]) -> Iterator[str]:
    now, margin = _degrees(lines, "GPU Current Temp"), _degrees(lines, "GPU T.Limit Temp")
    for what in ("Shutdown", "Slowdown"):
        limit, least = _degrees(lines, f"GPU {what} Temp"), _degrees(lines, f"GPU {what} T.Limit Temp")
        if now is not None and limit is not None and now >= limit:
            yield f"{now} C, {what.lower()} at {limit} C"
        # Newer drivers give the margin to the slowdown temperature, and the margins of slowdown and shutdown.
        if margin is not None and least is not None and margin <= least:
            yield f"{'too hot' if now is None else f'{now} C'}, at its {what.lower()} limit"


def _degrees(lines: Sequence[LogLine], key: str) -> int | None:
    for line in lines:
        if line.key == key and (found := _CELSIUS.fullmatch(line.value or "")):
            return int(found[1])
    return None


def _values(lines: Sequence[LogLine], heading: str, key: str) -> list[str]:
    """The yes-or-no values under `heading` of all keys that begin with `key`."""
    return [
        line.value
        for line in lines
        if heading in line.path and line.key.startswith(key) and line.value in ("Yes", "No")
    ]


_LOOKS: Final[tuple[Callable[[Sequence[LogLine]], Iterator[str]], ...]] = (_recovery, _reset, _ecc, _memory, _heat)


_MIB = 1024 * 1024
_MOST_MIB = 2**40
_MOST_PID = 2**22  # PID_MAX_LIMIT of Linux
_MOST_ID = 10_000
_GPU = re.compile(r"GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])")
_CUDA = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")
_MIB_VALUE = re.compile(r"([0-9]{1,12}) MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLog:
    """A MIG instance in the log: its number on its device, and the pair of ids by which processes name it."""

    number: int
    ids: tuple[str, str]
    mem_total_bytes: int
    mem_used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLog:
    """The log's part about one GPU."""

    bus_id: str
    fault: str
    unseen: tuple[str, ...]
    is_cut: bool
    """Whether MIG mode is on."""
    parts: tuple[PartLog, ...]
    processes: tuple[tuple[tuple[str, str], GpuProcess], ...]
    """Each with the ids of the instance that it is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLog:
    """The whole log; `reason`: why it has no devices, or empty."""

    cuda_version: str = ""
    devices: Mapping[str, DeviceLog] = field(default_factory=dict)
    """By the GPU's UUID."""
    reason: str = ""


def parse_nvidia_log(section: Section) -> DriverLog:
    """The parsed log; empty if it was cut off, because a fault may be in the missing part."""
    if section.status is None:
        return DriverLog(reason="`nvidia-smi -q` timed out")
    lines = list(_lines(section.text))
    cuda = next((line.value or "" for line in lines if line.path == () and line.key == "CUDA Version"), "")
    devices: dict[str, DeviceLog] = {}
    for bus_id, own in _by_gpu(lines):
        uuid = next((line.value for line in own if line.key == "GPU UUID"), "")
        if uuid:
            devices[uuid] = _device(bus_id, own)
    reason = "" if devices else words_of(section.text) or f"`nvidia-smi -q` failed with {section.status}"
    return DriverLog(cuda_version=cuda if _CUDA.fullmatch(cuda) else "", devices=devices, reason=reason)


def _lines(text: str) -> Iterator[LogLine]:
    """Each line with the headings above it; a key with a value is a heading too, such as `Process ID`."""
    above: list[tuple[int, str]] = []
    for raw in text.split("\n"):
        key, colon, value = raw.strip().partition(" : ")
        if not key:
            continue
        indent = len(raw) - len(raw.lstrip(" "))
        while above and above[-1][0] >= indent:
            above.pop()
        yield LogLine(
            path=tuple(heading for _, heading in above), key=key.strip(), value=value.strip() if colon else None
        )
        if len(above) < 16:
            above.append((indent, key.strip()))


def _by_gpu(lines: Sequence[LogLine]) -> Iterator[tuple[str, list[LogLine]]]:
    own: list[LogLine] = []
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


def _device(bus_id: str, lines: Sequence[LogLine]) -> DeviceLog:
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


def _parts(lines: Sequence[LogLine]) -> Iterator[PartLog]:
    found: dict[str, str] = {}
    for line in lines:
        if line.key == "MIG Device":
            found = {}
        elif "MIG Device" in line.path and line.value is not None:
            found[line.key if line.path[-1] == "MIG Device" else f"{line.path[-1]}/{line.key}"] = line.value
            # The last value that is needed.
            if line.key == "Used" and line.path[-1] == "FB Memory Usage" and (part := _part(found)):
                yield part


def _part(found: Mapping[str, str]) -> PartLog | None:
    number = whole(found.get("Index", ""), most=_MOST_ID)
    total, used = (_mib(found.get(f"FB Memory Usage/{key}", "")) for key in ("Total", "Used"))
    if number is None or total is None or used is None or used > total:
        return None
    ids = (found.get("GPU Instance ID", ""), found.get("Compute Instance ID", ""))
    return PartLog(number=number, ids=ids, mem_total_bytes=total, mem_used_bytes=used)


def _processes(lines: Sequence[LogLine]) -> Iterator[tuple[tuple[str, str], GpuProcess]]:
    """Each process with the ids of its instance. Its values follow its id, up to the next process or the end."""
    ids, pid, parsed = ["", ""], None, dict[str, str]()
    for line in (*lines, LogLine(path=("Processes",), key="Process ID", value="")):
        if "Processes" not in line.path or line.value is None:
            continue
        match line.key.lower():
            case "process id":
                if pid is not None:
                    yield (ids[0], ids[1]), _process(pid, parsed)
                pid, parsed = whole(line.value, most=_MOST_PID), {}
            case "gpu instance id" | "compute instance id" as which:
                if pid is not None:
                    yield (ids[0], ids[1]), _process(pid, parsed)
                    pid = None
                ids[which.startswith("compute")] = line.value
            case _:
                parsed[line.key] = line.value


def _process(pid: int, parsed: Mapping[str, str]) -> GpuProcess:
    used = parsed.get("Used GPU Memory", "not told")
    mem_bytes = _mib(used)
    reason = Unknown(reason=words_of(used, most=40) or "not told")
    return GpuProcess(
        pid=pid, name=words_of(parsed.get("Name", "")), mem_bytes=reason if mem_bytes is None else mem_bytes
    )


def _mib(text: str) -> int | None:
    found = _MIB_VALUE.fullmatch(text)
    mib = whole(found[1], most=_MOST_MIB) if found else None
    return None if mib is None else mib * _MIB
