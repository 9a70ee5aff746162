"""AMD GPUs from `rocm-smi … --json`. Tested on recorded output of ROCm 5 and 6, whose key names differ.

A device is leased as `GPU-<unique id>`, its name in ROCm's runtime (ROCR_VISIBLE_DEVICES); a device without that id
cannot be identified, and is unfit. The tool does not say which device a process is on; the kernel does
(`/sys/class/kfd/kfd/proc/PID/vram_DEVICE`), by a number that only newer tools print. A process without a known device
may be on any.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.probe.frame import Section, decimal, whole, words_of
from clbalance.probe.host import numa_node

_MOST_BYTES = 2**50
_MOST_PID = 2**22  # PID_MAX_LIMIT of Linux
_MOST_GPUS = 256
_MOST_PROCESSES = 10_000
_CARD = re.compile(r"card([0-9]{1,3})")
_PID = re.compile(r"PID ?([0-9]{1,10})")
_UNIQUE_ID = re.compile(r"0x([0-9a-fA-F]{1,16})")
_KFD = re.compile(r".*/kfd/proc/([0-9]{1,10})/vram_([0-9]{1,10})")
_NOT_TOLD = "not told"


def parse_rocm(section: Section, files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    """The node's AMD devices; none if it has no `rocm-smi`. `files`: the section `proc`."""
    if section.status == "absent":
        return ()
    if section.status is None:
        return Unknown(reason="`rocm-smi` timed out")
    parsed = _document(section.text)
    if isinstance(parsed, Unknown):
        return parsed
    cards = {int(found[1]): card for name, card in parsed.items() if (found := _CARD.fullmatch(name))}
    if len(cards) > _MOST_GPUS:
        return Unknown(reason=f"more than {_MOST_GPUS} GPUs")
    system, on = parsed.get("system", {}), _devices_of_processes(files)
    processes, driver = _processes(system), words_of(system.get("Driver version", ""), most=40)
    gpus = [(replace(_gpu(index, card, files), driver_version=driver), card) for index, card in sorted(cards.items())]
    if isinstance(processes, Unknown):
        return tuple(replace(gpu, processes=processes) for gpu, _ in gpus)
    return tuple(replace(gpu, processes=_processes_on(card.get("GUID", ""), processes, on)) for gpu, card in gpus)


def _document(text: str) -> dict[str, dict[str, str]] | Unknown:
    """The JSON object, between any warnings. All its values are strings."""
    try:
        parsed, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return Unknown(reason=words_of(text) or "no output from `rocm-smi`")
    if not isinstance(parsed, dict):
        return Unknown(reason="the output of `rocm-smi` does not parse")
    return {
        name: {key.strip(): str(value) for key, value in part.items() if isinstance(value, str | int | float)}
        for name, part in parsed.items()
        if isinstance(part, dict)
    }


def _gpu(index: int, card: Mapping[str, str], files: Mapping[str, str]) -> Gpu:
    total, used = (_size(card.get(f"VRAM Total {what}Memory (B)", "")) for what in ("", "Used "))
    if isinstance(total, int) and isinstance(used, int) and used > total:
        used = Unknown(reason=f"{used} bytes used of {total}")
    unique = _UNIQUE_ID.fullmatch(card.get("Unique ID", ""))
    return Gpu(
        uuid=f"GPU-{int(unique[1], 16):016x}" if unique else f"GPU-amd-{index}",
        index=index,
        model=words_of(_first(card, "Card Series", "Card series", "Card Model", "Card model") or "AMD GPU"),
        mem_total_bytes=total,
        mem_used_bytes=used,
        use_pct=_decimal(_first(card, "GPU use (%)"), most=100.0),
        temperature_c=_decimal(
            _first(card, "Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)"), most=200.0
        ),
        driver_version="",
        bus_id=words_of(_first(card, "PCI Bus").lower(), most=20),
        numa_node=numa_node(_first(card, "PCI Bus"), files),
        fault="" if unique else "it tells no unique id, so it cannot be leased",
        unseen=("errors: not asked for",),
    )


def _first(card: Mapping[str, str], *keys: str) -> str:
    return next((card[key] for key in keys if card.get(key, "N/A") != "N/A"), "")


def _size(text: str) -> int | Unknown:
    number = whole(text, most=_MOST_BYTES)
    return Unknown(reason=words_of(text, most=40) or _NOT_TOLD) if number is None else number


def _decimal(text: str, *, most: float) -> float | Unknown:
    number = decimal(text, most=most)
    return Unknown(reason=words_of(text, most=40) or _NOT_TOLD) if number is None else number


def _processes(system: Mapping[str, str]) -> dict[int, GpuProcess] | Unknown:
    """Processes by pid, from `PID4711`: `python3, 1, 1258291200, 0, 0`: name, devices, memory and unused numbers."""
    found: dict[int, GpuProcess] = {}
    for key, text in system.items():
        if not (named := _PID.fullmatch(key)):
            continue
        pid = whole(named[1], most=_MOST_PID)
        if pid is None or len(found) >= _MOST_PROCESSES:
            return Unknown(reason="the list of GPU processes does not parse")
        name, *rest = text.split(", ")
        mem = whole(rest[1], most=_MOST_BYTES) if len(rest) > 1 else None
        found[pid] = GpuProcess(
            pid=pid, name=words_of(name), mem_bytes=Unknown(reason=_NOT_TOLD) if mem is None else mem
        )
    return found


def _devices_of_processes(files: Mapping[str, str]) -> dict[int, dict[str, int]]:
    """For each process the memory that it holds on each device, by the kernel's device number."""
    held: dict[int, dict[str, int]] = {}
    for path, text in files.items():
        if found := _KFD.fullmatch(path):
            size, pid = whole(text, most=_MOST_BYTES), whole(found[1], most=_MOST_PID)
            if size is not None and pid is not None:
                held.setdefault(pid, {})[found[2]] = size
    return held


def _processes_on(
    device: str, processes: Mapping[int, GpuProcess], on: Mapping[int, Mapping[str, int]]
) -> tuple[GpuProcess, ...]:
    return tuple(
        process for pid, process in processes.items() if not device or not on.get(pid) or on[pid].get(device, 0) > 0
    )
