"""What `nvidia-smi -q`, `nvidia-smi -L` and the kernel tell of a lab node's GPUs, in the real ones' form."""

from collections.abc import Iterable, Iterator, Sequence

from clbalance.lab.gpu_device import DRIVER, MEM_TOTAL_BYTES, MODEL, Device, Part
from clbalance.lab.load import MIB

CUDA = "12.4"
_SLOWDOWN_C = 92


def log_text(devices: Sequence[Device]) -> str:
    """All that the driver knows."""
    head = [
        "",
        "==============NVSMI LOG==============",
        "",
        _line(0, "Driver Version", DRIVER),
        _line(0, "CUDA Version", CUDA),
        "",
        _line(0, "Attached GPUs", str(len(devices))),
    ]
    return "\n".join([*head, *(line for device in devices for line in _device(device))]) + "\n"


def list_text(devices: Sequence[Device]) -> str:
    """Devices and their parts by UUID."""
    return "".join(line for device in devices for line in _listed(device))


def _listed(device: Device) -> Iterator[str]:
    yield f"GPU {device.index}: {MODEL} (UUID: {device.uuid})\n"
    for part in device.parts:
        yield f"  MIG {part.profile:<11} Device  {part.number}: (UUID: {part.uuid})\n"


def kernel_log_text(devices: Sequence[Device]) -> str:
    """Each driver says something harmless at least once."""
    lines = ["[    1.000000] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15\n"]
    for device in devices:
        if device.fault == "xid":
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
    yield "    Retired Pages"
    yield _line(2, "Pending Page Blacklist", _yes(fault == "pages"))
    yield "    Remapped Rows"
    yield _line(2, "Remapping Failure Occurred", _yes(fault == "rows"))
    yield "    Temperature"
    yield _line(2, "GPU Current Temp", f"{device.temperature_c} C")
    yield _line(2, "GPU Slowdown Temp", f"{_SLOWDOWN_C} C")
    yield from _processes(device.parts)


def _part(part: Part) -> Iterator[str]:
    yield "    MIG Device"
    yield _line(2, "Index", str(part.number))
    yield _line(2, "GPU Instance ID", str(part.instance))
    yield _line(2, "Compute Instance ID", "0")
    yield "        FB Memory Usage"
    yield from _memory(3, part.mem_total_bytes, part.held.mem_used_bytes)


def _memory(depth: int, total_bytes: int, used_bytes: int) -> Iterable[str]:
    return _line(depth, "Total", f"{total_bytes // MIB} MiB"), _line(depth, "Used", f"{used_bytes // MIB} MiB")


def _processes(parts: Sequence[Part]) -> Iterator[str]:
    yield "    Processes"
    for part in parts:
        if part.held.process:
            yield _line(2, "GPU instance ID", str(part.instance))
            yield _line(2, "Compute instance ID", "0")
            yield _line(2, "Process ID", str(part.held.pid))
            yield _line(3, "Name", part.held.process)
            yield _line(3, "Used GPU Memory", f"{part.held.mem_used_bytes // MIB} MiB")


def _line(depth: int, key: str, value: str) -> str:
    return f"{' ' * 4 * depth + key:<42}: {value}"


def _yes(is_so: bool) -> str:
    return "Yes" if is_so else "No"
