"""All GPUs of a node, of every vendor, with errors from the kernel's log.

Each vendor has a section of `probe.sh` and a parser that makes `Gpu` values with unique UUIDs; none if the vendor's
tool is absent. Which of them a job sees is set in `node/agent/job/task.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Unknown
from clbalance.probe.frame import Section
from clbalance.probe.gpu_nvidia import NO_DEVICES, GpuPart, cut, parse_gpus, parse_parts
from clbalance.probe.gpu_nvidia_log import DriverLog, parse_nvidia_log
from clbalance.probe.gpu_rocm import parse_rocm
from clbalance.probe.gpu_xids import Xids, parse_xids
from clbalance.probe.host import numa_node

_CUT_OFF = Section(text="", status=None)
_ABSENT = Section(text="", status="absent")
_NO_PARTS = "MIG mode is on, and no parts are told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The GPUs of all vendors; unknown if those of one vendor are, and no other vendor has any.

    `missing`: why the devices of a vendor are not in `gpus`. So a tool without its driver takes no other devices along,
    and a node whose devices are all lost is not like one that never had any.
    """

    gpus: tuple[Gpu, ...] | Unknown
    mps: bool | Unknown
    """Whether NVIDIA's MPS runs: its control daemon has a pipe for clients, or its server is on a device."""
    missing: tuple[str, ...] = ()


def parse_devices(sections: Mapping[str, Section], files: Mapping[str, str]) -> Devices:
    """The devices of all vendors whose tool is there."""
    vendors = (_nvidia(sections, files), parse_rocm(sections.get("rocm", _ABSENT), files))
    gpus = tuple(gpu for some in vendors if not isinstance(some, Unknown) for gpu in some)
    failed = [some for some in vendors if isinstance(some, Unknown)]
    if failed and not gpus:
        return Devices(gpus=failed[0], mps=failed[0])
    processes = (one for gpu in gpus if not isinstance(gpu.processes, Unknown) for one in gpu.processes)
    mps = "mps" in sections or any(one.is_mps_server for one in processes)
    missing = [some.reason for some in failed]
    if sections.get("gpus", _CUT_OFF).text.lstrip("\n").startswith(NO_DEVICES):  # they may all be lost
        missing.append("`nvidia-smi` finds no device")
    return Devices(gpus=gpus, mps=mps, missing=tuple(missing))


def _nvidia(sections: Mapping[str, Section], files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    listed = sections.get("gpu_parts", _ABSENT)
    parts = parse_parts(listed)
    names = {part.uuid: parent for parent, some in parts.items() for part in some}
    gpus = parse_gpus(sections.get("gpus", _CUT_OFF), sections.get("gpu_processes", _CUT_OFF), names)
    if isinstance(gpus, Unknown) or not gpus:
        return gpus
    log = parse_nvidia_log(sections.get("gpu_log", _CUT_OFF))
    xids = parse_xids(sections.get("gpu_faults", _CUT_OFF))
    found = (device for gpu in gpus for device in _with_log(gpu, parts.get(gpu.uuid, ()), log, xids, files))
    return tuple(map(_of_unknown_parts, found) if listed.status is None else found)


def _of_unknown_parts(gpu: Gpu) -> Gpu:
    """The device, or unknown figures of a GPU in MIG mode: its parts were not told in time."""
    if gpu.fault != _NO_PARTS:
        return gpu
    unknown = Unknown(reason="`nvidia-smi -L` timed out")
    return replace(gpu, fault="", mem_used_bytes=unknown, processes=unknown)


def _with_log(
    gpu: Gpu, parts: Sequence[GpuPart], log: DriverLog, xids: Xids, files: Mapping[str, str]
) -> Iterator[Gpu]:
    own = log.devices.get(gpu.uuid)
    bus_id = gpu.bus_id if own is None else own.bus_id
    not_logged = log.reason or "it is missing in the driver's log"
    unseen = (f"health: {not_logged}",) if own is None else own.unseen
    fault = (own.fault if own else "") or xids.of(bus_id) or gpu.fault
    if own is not None and own.is_cut and not parts:
        fault = fault or _NO_PARTS
    whole = replace(
        gpu,
        bus_id=bus_id,
        cuda_version=log.cuda_version,
        fault=fault,
        unseen=unseen + ((xids.reason,) if xids.reason else ()),
        numa_node=numa_node(bus_id, files) if bus_id else Unknown(reason="not told"),
    )
    if parts:
        yield from cut(whole, parts, own)
    else:
        yield whole
