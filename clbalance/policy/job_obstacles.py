"""Findings from a node's reading: what keeps all jobs, or all GPU jobs, off a node that answers. Pure."""

from collections.abc import Iterator

from clbalance.model import Gpu, Memory, NodeLimits, Reading, Unknown
from clbalance.model.checkup import Finding, note, wrong
from clbalance.policy.placement.gpus import GpuState, gpu_condition, gpu_label

_LOAD = "`ssh {node} cat /proc/loadavg /proc/uptime /proc/stat /proc/meminfo` shows it"
_GPU_TOOLS = "`ssh {node} nvidia-smi -q` (AMD: `rocm-smi`) shows it"


def reading_findings(reading: Reading | Unknown) -> Iterator[Finding]:
    """Everything without which no job is placed, admitted or started there."""
    if isinstance(reading, Unknown):
        yield wrong(
            "load", f"its load is unknown: {reading.reason}", "`clbalance load -w {node}` asks for it once more"
        )
        return
    yield from _boot(reading)
    yield from _load(reading)
    if isinstance(reading.leases, Unknown):
        what = f"its leases are unknown, so no job is admitted: {reading.leases.reason}"
        yield wrong("leases", what, "`ssh {node} ls -l /var/lib/clbalance /var/tmp` shows what is in the job folders")
    if reading.limits is not None:
        yield from _limits(reading.limits)
    yield from _gpus(reading)


def _limits(limits: NodeLimits | Unknown) -> Iterator[Finding]:
    from clbalance.policy.node_limits import flaw_of  # few nodes have limits

    if flaw := flaw_of(limits):
        hint = "mend /etc/clbalance/limits.conf as root there; `clbalance config check --limits FILE` checks one"
        yield wrong("limits", f"its limits of users keep every job out: {flaw}", hint)


def _boot(reading: Reading) -> Iterator[Finding]:
    if isinstance(reading.boot_id, Unknown):
        what = f"its boot id is unknown, so no job can be started: {reading.boot_id.reason}"
        hint = "`ssh {node} cat /proc/sys/kernel/random/boot_id` should print a UUID; in a container, mount /proc"
        yield wrong("boot_id", what, hint)


def _load(reading: Reading) -> Iterator[Finding]:
    needed = {
        "run queue": reading.run_queue,
        "uptime": reading.uptime_s,
        "cpus": reading.cpus,
        "memory": reading.memory,
    }
    for name, part in needed.items():
        if isinstance(part, Unknown):
            yield wrong("load", f"its {name} is unknown, so no job is placed there: {part.reason}", _LOAD)
    if isinstance(reading.memory, Memory):
        for swap in (reading.memory.swap_total_bytes, reading.memory.swap_free_bytes):
            if isinstance(swap, Unknown):
                yield note(
                    "load", f"its swap is unknown: {swap.reason}", "`ssh {node} grep Swap /proc/meminfo` shows it"
                )
                break
    if isinstance(reading.tmp, Unknown):
        what = f"its temporary space is unknown, so no job with `--tmp` is placed there: {reading.tmp.reason}"
        yield note("tmp", what, "`ssh {node} df -k /tmp` shows it, or hangs as well")


def _gpus(reading: Reading) -> Iterator[Finding]:
    if isinstance(reading.gpus, Unknown):
        what = f"its GPUs are unknown, so none is allocated: {reading.gpus.reason}"
        yield wrong("gpus", what, f"{_GPU_TOOLS}, or hangs as well")
        return
    for gpu in reading.gpus:
        found = gpu_condition(gpu, 0.0, {})
        if found.state is GpuState.FAULTY:
            yield wrong("gpus", f"{gpu_label(gpu)} is faulty, so it is not allocated: {found.reason}", _repair(gpu))
        elif found.state is GpuState.UNKNOWN:
            yield wrong("gpus", f"{gpu_label(gpu)} is not allocated, for its {found.reason}", _GPU_TOOLS)
    for reason in reading.gpus_missing:
        yield note("gpus", f"the GPUs of one vendor are missing: {reason}", _GPU_TOOLS)


def _repair(gpu: Gpu) -> str:
    """What may help a faulty device. Not a reset for an AMD card, which is faulty only if it tells no id; nor for a MIG
    part, which would take the other parts along; nor by an index, which a lost device does not tell.
    """
    if gpu.parent or not gpu.bus_id or gpu.uuid.startswith("GPU-amd-"):
        return _GPU_TOOLS
    reset = f"`nvidia-smi --gpu-reset -i {gpu.bus_id}`"
    return f"{_GPU_TOOLS}; if it needs a reset, as root there, with no job on it: {reset}, else a reboot"
