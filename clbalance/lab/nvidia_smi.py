"""The `nvidia-smi` of lab nodes: it prints tables that the controller writes, in the format of the real program.

Files beside the tables switch faults on. `hang`: it hangs and ignores SIGTERM, like the real one in D state. `fail`: it
prints that file's text and exits with 9, like the real one without its driver. `slow`: it waits for that many seconds.
`nolog`: only its log hangs. `lost`: it ends with 15, because a device is lost. The node's `dmesg` prints the driver's
messages in the kernel's log.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence

from clbalance.errors import UsageError
from clbalance.lab.gpu_devices import DRIVER, MEM_TOTAL_BYTES, MODEL, Device, Held, LabGpuPart, devices_of
from clbalance.lab.layout import NodeFolder, replace_file
from clbalance.lab.load import MIB, Load

TOOL = "nvidia-smi"
KERNEL_LOG_TOOL = "dmesg"
SWITCHES = ("hang", "fail", "slow", "nolog")
GPU_QUERY = "uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version"
APPS_QUERY = "gpu_uuid,pid,process_name,used_gpu_memory"
_SLOW_S = "0.7"
_STRANGER = 65_534
"""The uid of nobody, on any Linux."""
_LOST_STATUS = 15
_FAILURE = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"

_TOOL = """\
#!/bin/sh
# clbalance lab: answers four questions from tables.
tables='{tables}'
hang() {{
    trap '' HUP INT TERM
    exec sleep 86400
}}
[ ! -e "$tables/hang" ] || hang
if [ -e "$tables/fail" ]; then
    cat "$tables/fail" >&2
    exit 9
fi
if [ -e "$tables/slow" ]; then
    read -r seconds <"$tables/slow"
    sleep "$seconds"
fi
for option; do
    case $option in
        --format=csv,noheader,nounits) ;;
        --query-gpu={gpu_query}) table=gpus.csv ;;
        --query-compute-apps={apps_query}) table=apps.csv ;;
        -q) [ ! -e "$tables/nolog" ] || hang; table=log.txt ;;
        -L) table=list.txt ;;
        *)
            echo "the lab's nvidia-smi does not know: $option" >&2
            exit 2
            ;;
    esac
done
# No `cat`, to save processes: half of a lab's nodes do this three times in every sweep, on one machine.
while IFS= read -r row; do
    printf '%s\\n' "$row"
done <"$tables/${{table:?no query}}"
[ ! -e "$tables/lost" ] || exit {lost_status}
"""
_KERNEL_LOG_TOOL = """\
#!/bin/sh
# clbalance lab: messages of the GPU driver in the kernel's log.
while IFS= read -r row; do
    printf '%s\\n' "$row"
done <'{tables}/kernel.log'
"""


def tool_text(folder: NodeFolder) -> str:
    """The text of the node's `nvidia-smi`."""
    return _TOOL.format(tables=folder.gpu, gpu_query=GPU_QUERY, apps_query=APPS_QUERY, lost_status=_LOST_STATUS)


def kernel_log_tool_text(folder: NodeFolder) -> str:
    """The text of the node's `dmesg`."""
    return _KERNEL_LOG_TOOL.format(tables=folder.gpu)


def write_tables(folder: NodeFolder, gpus: int, load: Load) -> None:
    """Write the answers of `nvidia-smi` and `dmesg`."""
    devices = devices_of(int(folder.name.removeprefix("node")), gpus, load)
    replace_file(folder.gpu / "gpus.csv", "".join(map(_gpu_row, devices)))
    lost = "".join(_lost_line(device) for device in devices if device.fault == "lost")
    replace_file(folder.gpu / "apps.csv", lost + "".join(row for device in devices for row in _app_rows(device)))
    replace_file(folder.gpu / "log.txt", log_text(devices))
    replace_file(folder.gpu / "list.txt", list_text(devices))
    replace_file(folder.gpu / "kernel.log", kernel_log_text(devices))
    _write_processes(folder, devices)
    # The real driver has one folder for each instance, with its access rights.
    shutil.rmtree(folder.capabilities, ignore_errors=True)
    for device in devices:
        for part in device.parts:
            (folder.capabilities / f"gpu{device.index}/mig/gi{part.instance}").mkdir(parents=True)
    _set_switches(folder, {load.gpu_tool} | ({"lost"} if lost else set()))


def _write_processes(folder: NodeFolder, devices: Sequence[Device]) -> None:
    """Give those that are made up an owner in the node's `/proc`: another user."""
    for old in folder.proc.glob("[0-9]*"):
        shutil.rmtree(old, ignore_errors=True)
    for device in devices:
        for held in (device.held, *(part.held for part in device.parts)):
            for process in (one for one in held.processes if not one.is_real):
                (folder.proc / str(process.pid)).mkdir(exist_ok=True)
                status = f"Name:\t{process.name[:15]}\nPPid:\t1\nUid:\t{_STRANGER}\t{_STRANGER}\n"
                (folder.proc / str(process.pid) / "status").write_text(status)


def _set_switches(folder: NodeFolder, on: Collection[str]) -> None:
    texts = {"hang": "", "nolog": "", "fail": _FAILURE, "slow": f"{_SLOW_S}\n", "lost": ""}
    for switch, text in texts.items():
        if switch in on:
            replace_file(folder.gpu / switch, text)
        else:
            (folder.gpu / switch).unlink(missing_ok=True)


_NOT_SAID = {"stuck": "[GPU requires reset]", "silent": "[Unknown Error]"}
"""What a device with that fault shows in place of every figure."""


def _gpu_row(device: Device) -> str:
    if device.fault == "lost":
        return _lost_line(device)
    memory = [str(size // MIB) for size in (MEM_TOTAL_BYTES, device.mem_used_bytes)]
    if device.fault == "unified":  # as on a GB10, whose memory is the host's
        memory = ["[N/A]", "[N/A]"]
    figures = [*memory, "[N/A]" if device.parts else str(device.held.use_pct), str(device.temperature_c)]
    if word := _NOT_SAID.get(device.fault):
        figures = [word] * len(figures)
    return f"{', '.join([device.uuid, str(device.index), MODEL, *figures, DRIVER])}\n"


def _lost_line(device: Device) -> str:
    return f"Unable to determine the device handle for GPU{device.bus_id[4:]}: Unknown Error\n"


def _app_rows(device: Device) -> Iterator[str]:
    holders: list[Held] = [part.held for part in device.parts] or [device.held]
    for held in holders:
        for process in held.processes if device.fault != "lost" else ():
            yield f"{device.uuid}, {process.pid}, {process.name}, {process.mem_bytes // MIB}\n"


def check_devices(node: str, gpus: int, load: Load) -> None:
    """Raise `UsageError` if the load names a GPU or part that the node does not have."""
    parts = dict(load.gpu_parts)
    named = [*(one.index for one in load.gpus), *parts, *dict(load.gpu_faults)]
    for index in named:
        if not 0 <= index < gpus:
            have = f"has GPUs 0 to {gpus - 1}" if gpus else "has none"
            raise UsageError(f"{node} has no GPU {index}", hint=f"{node} {have}")
    for one in load.gpus:
        count = parts.get(one.index, 0)
        if (one.part is None) != (count == 0) or not 0 <= (one.part or 0) < max(1, count):
            have = f"has parts {one.index}.0 to {one.index}.{count - 1}" if count else "is whole"
            raise UsageError(f"GPU {one.index} of {node} {have}", hint="`--gpu-parts INDEX:N` cuts it anew")
    if load.gpu_tool not in {"well", *SWITCHES}:
        raise UsageError(f"`nvidia-smi` cannot be {load.gpu_tool!r}", hint=f"one of {', '.join(('well', *SWITCHES))}")


# The output of `nvidia-smi -q`, `nvidia-smi -L` and `dmesg`, in the format of the real programs.

CUDA = "12.4"
_SLOWDOWN_C = 92


def log_text(devices: Sequence[Device]) -> str:
    """The output of `nvidia-smi -q`."""
    head = [
        "",
        "==============NVSMI LOG==============",
        "",
        _line(0, "Driver Version", DRIVER),
        _line(0, "CUDA Version", CUDA),
        "",
        _line(0, "Attached GPUs", str(len(devices))),
    ]
    found = (device for device in devices if device.fault != "lost")
    return "\n".join([*head, *(line for device in found for line in _device(device))]) + "\n"


def list_text(devices: Sequence[Device]) -> str:
    """The output of `nvidia-smi -L`: devices and their parts with UUIDs."""
    return "".join(line for device in devices for line in _listed(device))


def _listed(device: Device) -> Iterator[str]:
    yield f"GPU {device.index}: {MODEL} (UUID: {device.uuid})\n"
    for part in device.parts:
        yield f"  MIG {part.profile:<11} Device  {part.number}: (UUID: {part.uuid})\n"


def kernel_log_text(devices: Sequence[Device]) -> str:
    """The kernel's log: a harmless message of the driver, and faults."""
    lines = ["[    1.000000] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15\n"]
    for device in devices:
        if device.fault in {"xid", "lost"}:
            bus = device.bus_id.lower()[4:].partition(".")[0]
            lines.append(f"[   99.000000] NVRM: Xid (PCI:{bus}): 79, pid=1, name=x, GPU has fallen off the bus.\n")
    return "".join(lines)


def _device(device: Device) -> Iterator[str]:
    fault = device.fault
    yield f"GPU {device.bus_id}"
    yield _line(1, "Product Name", MODEL)
    yield "    MIG Mode"
    yield _line(2, "Current", "Enabled" if device.parts else "Disabled")
    for part in device.parts:
        yield from _part(part)
    yield _line(1, "GPU UUID", device.uuid)
    yield "    GPU Reset Status"
    yield _line(2, "Reset Required", _yes(fault == "reset"))
    yield "    FB Memory Usage"
    yield from _memory(3, MEM_TOTAL_BYTES, device.mem_used_bytes)
    yield "    ECC Errors"
    yield "        Volatile"
    yield _line(3, "SRAM Uncorrectable", "0")
    yield _line(3, "DRAM Uncorrectable", "2" if fault == "ecc" else "0")
    yield "        Aggregate"
    yield _line(3, "SRAM Threshold Exceeded", _yes(fault == "sram"))
    yield _line(2, "Unrepairable Memory", _yes(fault == "memory"))
    yield "    Retired Pages"
    yield _line(2, "Pending Page Blacklist", _yes(fault == "pages"))
    yield "    Remapped Rows"
    yield _line(2, "Remapping Failure Occurred", _yes(fault == "rows"))
    yield "    Temperature"
    yield _line(2, "GPU Current Temp", f"{device.temperature_c} C")
    yield _line(2, "GPU Slowdown Temp", f"{_SLOWDOWN_C} C")
    yield from _processes(device.parts)


def _part(part: LabGpuPart) -> Iterator[str]:
    yield "    MIG Device"
    yield _line(2, "Index", str(part.number))
    yield _line(2, "GPU Instance ID", str(part.instance))
    yield _line(2, "Compute Instance ID", "0")
    yield "        FB Memory Usage"
    yield from _memory(3, part.mem_total_bytes, part.held.mem_used_bytes)


def _memory(depth: int, total_bytes: int, used_bytes: int) -> Iterable[str]:
    return _line(depth, "Total", f"{total_bytes // MIB} MiB"), _line(depth, "Used", f"{used_bytes // MIB} MiB")


def _processes(parts: Sequence[LabGpuPart]) -> Iterator[str]:
    yield "    Processes"
    for part in parts:
        for process in part.held.processes:
            yield _line(2, "GPU instance ID", str(part.instance))
            yield _line(2, "Compute instance ID", "0")
            yield _line(2, "Process ID", str(process.pid))
            yield _line(3, "Name", process.name)
            yield _line(3, "Used GPU Memory", f"{process.mem_bytes // MIB} MiB")


def _line(depth: int, key: str, value: str) -> str:
    return f"{' ' * 4 * depth + key:<42}: {value}"


def _yes(is_so: bool) -> str:
    return "Yes" if is_so else "No"
