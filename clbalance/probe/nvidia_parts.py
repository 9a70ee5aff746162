"""MIG instances: a GPU that is cut into parts is not a device for jobs; its parts are.

`nvidia-smi -L` knows their UUIDs, `nvidia-smi -q` their memory and who is on them. A part of which one of the two
is missing might be in use, so it is told and unfit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.probe.bounded import whole
from clbalance.probe.frame import Section
from clbalance.probe.nvidia_log import DeviceLog, PartLog

_WHOLE = re.compile(r"GPU [0-9]{1,3}: .*\(UUID: (GPU-[0-9A-Za-z/-]{1,80})\)")
_PART = re.compile(r" +MIG ([0-9a-z.+]{1,40}) +Device +([0-9]{1,3}): \(UUID: (MIG-[0-9A-Za-z/-]{1,80})\)")
_MOST_NUMBER = 999
_MOST_PARTS = 64  # the hardware has seven
_NOT_MEASURED = Unknown(why="not measured on a part of a GPU")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One instance as it is listed; `profile` is its size, such as `1g.5gb`."""

    uuid: str
    number: int
    profile: str


def parse_parts(section: Section) -> Mapping[str, Sequence[Part]]:
    """The parts of each GPU that has any, by its UUID."""
    parts: dict[str, list[Part]] = {}
    parent = ""
    for line in section.text.split("\n"):
        if found := _WHOLE.fullmatch(line):
            parent = found[1]
        elif (found := _PART.fullmatch(line)) and parent:
            number = whole(found[2], most=_MOST_NUMBER) or 0
            some = parts.setdefault(parent, [])
            if len(some) < _MOST_PARTS:
                some.append(Part(uuid=found[3], number=number, profile=found[1]))
    return parts


def cut(gpu: Gpu, parts: Sequence[Part], log: DeviceLog | None) -> Iterator[Gpu]:
    """The parts of one GPU as devices; `gpu` has the processes that are listed for all of it."""
    known = {part.number: part for part in log.parts} if log else {}
    placed = log.processes if log else ()
    # Who is on it and on no known part may be on any.
    lost = [process for process in gpu.processes if process.pid not in {one.pid for _, one in placed}]
    for part in parts:
        yield _device(gpu, part, known.get(part.number), [*_on(known.get(part.number), placed), *lost])


def _on(part: PartLog | None, placed: Sequence[tuple[tuple[str, str], GpuProcess]]) -> list[GpuProcess]:
    return [process for ids, process in placed if part is not None and ids == part.ids]


def _device(gpu: Gpu, part: Part, log: PartLog | None, processes: Sequence[GpuProcess]) -> Gpu:
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
