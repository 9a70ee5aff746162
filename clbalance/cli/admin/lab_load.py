"""The options of `clbalance lab load`, and the changes that they make to a node's load."""

from typing import TYPE_CHECKING, Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from clbalance.lab.load import Load
    from clbalance.lab.node import LoadChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options that are given replace the simulated values of the node; the others stay."""

    idle: Annotated[bool, Option("--idle", help="Begin from an idle node, not from the present load.")] = False
    r1m: Annotated[float | None, Option("--r1m", metavar="X", help="Run queue, 1 minute; sets rq too.")] = None
    r5m: Annotated[float | None, Option("--r5m", metavar="X", help="Run queue, 5 minutes. [r1m]")] = None
    r15m: Annotated[float | None, Option("--r15m", metavar="X", help="Run queue, 15 minutes. [r1m]")] = None
    ut: Annotated[float | None, Option("--ut", metavar="PCT", help="CPU use.")] = None
    mem_used: Annotated[str | None, Option("--mem-used", metavar="SIZE", help="Memory in use.")] = None
    swap_used: Annotated[str | None, Option("--swap-used", metavar="SIZE", help="Swap in use.")] = None
    psi_cpu: Annotated[float | None, Option("--psi-cpu", metavar="PCT", help="Pressure on cpus.")] = None
    psi_mem: Annotated[float | None, Option("--psi-mem", metavar="PCT", help="Pressure on memory.")] = None
    psi_io: Annotated[float | None, Option("--psi-io", metavar="PCT", help="Pressure on disks.")] = None
    io: Annotated[float | None, Option("--io", metavar="KIB/S", help="Disks, read and written.")] = None
    net: Annotated[float | None, Option("--net", metavar="KIB/S", help="Network, received and sent.")] = None
    gpu: Annotated[
        list[str] | None,
        Option(
            "--gpu",
            metavar="INDEX[.PART]:USE%:MEM[:PROGRAM[@PID]]",
            help="One GPU, held by a stranger's PROGRAM; may be repeated.",
        ),
    ] = None
    gpu_parts: Annotated[
        list[str] | None, Option("--gpu-parts", metavar="INDEX:N", help="Cut a GPU into N MIG instances; 0: whole.")
    ] = None
    gpu_fault: Annotated[
        list[str] | None,
        Option(
            "--gpu-fault",
            metavar="INDEX:FAULT",
            help="Break a GPU: ecc, pages, rows, sram, memory, hot, reset, xid, stuck, silent, unified, lost, or none.",
        ),
    ] = None
    gpu_tool: Annotated[
        str | None, Option("--gpu-tool", metavar="HOW", help="nvidia-smi answers: well, slow, fail, hang, or nolog.")
    ] = None
    reboot: Annotated[
        str | None,
        Option("--reboot", metavar="HOW", help="The next `reboot` typed on the node: new, same, never, or sick."),
    ] = None
    reboot_s: Annotated[
        float | None, Option("--reboot-takes", metavar="SECONDS", help="How long that reboot takes.")
    ] = None
    spin: Annotated[int | None, Option("--spin", metavar="K", help="Busy processes that really run.")] = None

    def changed(self, present: "Load") -> "Load":
        """`present` with these options applied."""
        from dataclasses import replace

        from clbalance.lab.gpu_devices import parse_gpu_fault, parse_gpu_load, parse_gpu_parts
        from clbalance.lab.load import IDLE

        base = replace(IDLE if self.idle else present, **self._changes())
        parts, faults = map(parse_gpu_parts, self.gpu_parts or ()), map(parse_gpu_fault, self.gpu_fault or ())
        return base.with_gpu_facts(parts, faults).with_gpus(map(parse_gpu_load, self.gpu or ()))

    def _changes(self) -> "LoadChanges":
        from clbalance.units import parse_size

        given = {
            "r1m": self.r1m,
            "r5m": self.r5m,
            "r15m": self.r15m,
            "ut_pct": self.ut,
            "mem_used_bytes": None if self.mem_used is None else parse_size(self.mem_used),
            "swap_used_bytes": None if self.swap_used is None else parse_size(self.swap_used),
            "psi_cpu_pct": self.psi_cpu,
            "psi_mem_pct": self.psi_mem,
            "psi_io_pct": self.psi_io,
            "io_kib_per_s": self.io,
            "net_kib_per_s": self.net,
            "spin": self.spin,
            "reboot": self.reboot,
            "reboot_s": self.reboot_s,
            "gpu_tool": self.gpu_tool,
        }
        return {name: value for name, value in given.items() if value is not None}  # type: ignore[return-value]
