"""The simulated GPUs of a lab node, and the parsing of GPU loads, parts and faults on the command line."""

import re
from collections.abc import Iterator

from clbalance.errors import UsageError
from clbalance.lab.load import MIB, GpuLoad, Load
from clbalance.lazy_dataclass import dataclass
from clbalance.units import parse_size

MODEL = "NVIDIA A100-SXM4-40GB"
MEM_TOTAL_BYTES = 40_960 * MIB
DRIVER = "550.54.15"
FAULTS = ("none", "ecc", "pages", "rows", "sram", "memory", "hot", "reset", "xid", "stuck", "silent", "unified", "lost")
"""`stuck`, `silent` and `unified` show words in place of figures. `lost`: a line says that the driver has lost the
device. The others are in the log or in the kernel's log.
"""
_FIRST_PID = 400_000  # of simulated processes
_NEXT_PID = 10_000  # from one on a device to the next
_MOST_PARTS = 7  # of an A100
_PROFILES = {1: ("7g.40gb", 40_192), 2: ("3g.20gb", 20_096), 3: ("2g.10gb", 9_984)}
_SMALLEST = ("1g.5gb", 4_864)

# No comma in a program's name: the tables are CSV without quotes, as nvidia-smi's are.
_GPU_LOAD = re.compile(r"(\d{1,3})(?:\.(\d))?:(\d{1,3})%?:([^:]+)(?::([A-Za-z0-9 ._/@+-]{1,160}))?")
_PARTS = re.compile(r"(\d{1,3}):(\d)")
_FAULT = re.compile(r"(\d{1,3}):([a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldProcess:
    """A program on a device or a part."""

    name: str
    pid: int
    mem_bytes: int
    is_real: bool
    """Whether it really runs on the node, or did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The load of a device or a part."""

    use_pct: int
    mem_used_bytes: int
    processes: tuple[HeldProcess, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabGpuPart:
    """A MIG instance."""

    uuid: str
    number: int
    instance: int
    """The id that the driver gives it."""
    profile: str
    mem_total_bytes: int
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU."""

    uuid: str
    index: int
    bus_id: str
    fault: str
    held: Held
    parts: tuple[LabGpuPart, ...]

    @property
    def mem_used_bytes(self) -> int:
        """Bytes in use on the whole device."""
        return sum(part.held.mem_used_bytes for part in self.parts) if self.parts else self.held.mem_used_bytes

    @property
    def temperature_c(self) -> int:
        """The temperature, which grows with the load."""
        return 95 if self.fault == "hot" else 30 + self.held.use_pct // 2


def devices_of(node: int, gpus: int, load: Load) -> list[Device]:
    """The GPUs of node number `node`."""
    parts, faults = dict(load.gpu_parts), dict(load.gpu_faults)
    return [
        Device(
            uuid=f"GPU-{node:08x}-1ab0-4000-8000-{index:012x}",
            index=index,
            bus_id=f"00000000:{0x10 + index:02X}:00.0",
            fault=faults.get(index, "none"),
            held=_held(load.gpu(index), _FIRST_PID + index),
            parts=tuple(_parts(node, index, parts.get(index, 0), load)),
        )
        for index in range(gpus)
    ]


def _parts(node: int, index: int, count: int, load: Load) -> Iterator[LabGpuPart]:
    profile, mem_mib = _PROFILES.get(count, _SMALLEST)
    for number in range(count):
        yield LabGpuPart(
            uuid=f"MIG-{node:08x}-1ab0-5000-8000-{index:010x}{number:02x}",
            number=number,
            instance=7 + number,
            profile=profile,
            mem_total_bytes=mem_mib * MIB,
            held=_held(load.gpu(index, number), _FIRST_PID + 100 * (index + 1) + number),
        )


def _held(load: GpuLoad, pid: int) -> Held:
    """`pid`: of a process that is made up."""
    named = [word.partition("@") for word in load.process.split("+") if word]
    processes = tuple(
        HeldProcess(
            name=name,
            pid=int(real) if real.isdecimal() else pid + _NEXT_PID * at,
            mem_bytes=load.mem_used_bytes // len(named),
            is_real=real.isdecimal(),
        )
        for at, (name, _, real) in enumerate(named)
    )
    return Held(use_pct=load.use_pct, mem_used_bytes=load.mem_used_bytes, processes=processes)


def parse_gpu_load(text: str) -> GpuLoad:
    """Parse `INDEX[.PART]:USE%:MEM[:PROGRAM[@PID][+...]]`, such as `0:95%:30G:train.py`, or raise `UsageError`."""
    found = _GPU_LOAD.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not the load of a GPU",
            hint="INDEX[.PART]:USE%:MEM[:PROGRAM[@PID]], like `0:95%:30G:train.py`",
        )
    mem_used_bytes = parse_size(found[4])
    if mem_used_bytes > MEM_TOTAL_BYTES:
        raise UsageError(f"a lab GPU has {MEM_TOTAL_BYTES // 2**30}G of memory, not {found[4]}")
    return GpuLoad(
        index=int(found[1]),
        part=None if found[2] is None else int(found[2]),
        use_pct=int(found[3]),
        mem_used_bytes=mem_used_bytes,
        process=found[5] or "",
    )


def parse_gpu_parts(text: str) -> tuple[int, int]:
    """Parse `INDEX:N`, such as `0:3` (0: not divided), or raise `UsageError`."""
    found = _PARTS.fullmatch(text)
    if found is None or int(found[2]) > _MOST_PARTS:
        raise UsageError(f"{text!r} is no number of parts", hint=f"INDEX:N, like `0:3`; from 0 to {_MOST_PARTS} parts")
    return int(found[1]), int(found[2])


def parse_gpu_fault(text: str) -> tuple[int, str]:
    """Parse `INDEX:FAULT`, such as `0:ecc`, or raise `UsageError`."""
    found = _FAULT.fullmatch(text)
    if found is None or found[2] not in FAULTS:
        raise UsageError(f"{text!r} is no fault of a GPU", hint=f"INDEX:FAULT, FAULT one of {', '.join(FAULTS)}")
    return int(found[1]), found[2]
