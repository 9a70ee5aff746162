"""All GPUs of a node, whoever made them: the one place where a further maker comes in.

Each maker has a section of `probe.sh` and a parser that gives `Gpu` values with UUIDs of their own, none where its
tool is absent. What a job is shown of them is in `node/agent/devices.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.model import Gpu, Unknown
from clbalance.probe.frame import Section
from clbalance.probe.gpu import parse_gpus
from clbalance.probe.nvidia_log import DriverLog, parse_nvidia_log
from clbalance.probe.nvidia_parts import Part, cut, parse_parts
from clbalance.probe.pci import numa_node
from clbalance.probe.rocm import parse_rocm
from clbalance.probe.xids import Xids, parse_xids

_CUT_OFF = Section(text="", status=None)
_ABSENT = Section(text="", status="absent")


def parse_devices(sections: Mapping[str, Section], files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    """Unknown if those of any maker are: who asks for a GPU does not ask for a maker's."""
    nvidia = _nvidia(sections, files)
    if isinstance(nvidia, Unknown):
        return nvidia
    amd = parse_rocm(sections.get("rocm", _ABSENT), files)
    return amd if isinstance(amd, Unknown) else (*nvidia, *amd)


def _nvidia(sections: Mapping[str, Section], files: Mapping[str, str]) -> tuple[Gpu, ...] | Unknown:
    parts = parse_parts(sections.get("gpu_parts", _ABSENT))
    names = {part.uuid: parent for parent, some in parts.items() for part in some}
    gpus = parse_gpus(sections.get("gpus", _CUT_OFF), sections.get("gpu_processes", _CUT_OFF), names)
    if isinstance(gpus, Unknown) or not gpus:
        return gpus
    log = parse_nvidia_log(sections.get("gpu_log", _CUT_OFF))
    xids = parse_xids(sections.get("gpu_faults", _CUT_OFF))
    return tuple(device for gpu in gpus for device in _with_log(gpu, parts.get(gpu.uuid, ()), log, xids, files))


def _with_log(gpu: Gpu, parts: Sequence[Part], log: DriverLog, xids: Xids, files: Mapping[str, str]) -> Iterator[Gpu]:
    own = log.devices.get(gpu.uuid)
    missing = (log.why or "its driver's log is not told") if own is None else ""
    fault = "" if own is None else own.fault or xids.of(own.bus_id)
    if own is not None and own.is_cut and not parts:
        fault = fault or "MIG mode is on, and no parts are told"
    whole = replace(
        gpu,
        cuda_version=log.cuda_version,
        fault=fault,
        unseen=((f"health: {missing}",) if own is None else own.unseen) + ((xids.why,) if xids.why else ()),
        numa_node=Unknown(why="not told") if own is None else numa_node(own.bus_id, files),
    )
    if parts:
        yield from cut(whole, parts, own)
    else:
        yield whole
