"""The load a lab node pretends to have, and its JSON form, which the controller writes and the node's init reads.

Standard library only, light to import: every node's init does.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace

from clbalance.lazy_dataclass import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLoad:
    """What one GPU pretends; `process` names a program that is listed as holding the memory, whoever started it."""

    index: int
    part: int | None = None
    """Of a GPU that is cut into MIG instances, which of them; None: the whole."""
    use_pct: int = 0
    mem_used_bytes: int = 0
    process: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Base values of a node, to which its real runnable processes are added.

    `r5m`, `r15m` follow `r1m`, and `rq` is `r1m` rounded, unless they are given.
    """

    r1m: float = 0.0
    r5m: float | None = None
    r15m: float | None = None
    rq: int | None = None
    ut_pct: float = 0.0
    mem_used_bytes: int | None = None
    """None: a sixteenth of the memory, as an idle system uses."""
    swap_used_bytes: int = 0
    psi_cpu_pct: float = 0.0
    psi_mem_pct: float = 0.0
    psi_io_pct: float = 0.0
    io_kib_per_s: float | None = None
    """Read and written together; None: what an idle machine's disk does."""
    net_kib_per_s: float | None = None
    """Received and sent together; None: what an idle machine hears on its network."""
    spin: int = 0
    """Busy processes that the node really runs."""
    gpus: tuple[GpuLoad, ...] = ()
    gpu_parts: tuple[tuple[int, int], ...] = ()
    """Into how many MIG instances which GPUs are cut; like all of this, until the node is booted."""
    gpu_faults: tuple[tuple[int, str], ...] = ()
    """What is wrong with which GPUs (`gpu_log.FAULTS`)."""
    gpu_tool: str = "well"
    """How `nvidia-smi` answers: `well`, `slow` by 0.7 s, `fail`, `hang`, or `nolog`: without its log."""

    def gpu(self, index: int, part: int | None = None) -> GpuLoad:
        """The load of one GPU; idle where none was set."""
        return next(
            (gpu for gpu in self.gpus if (gpu.index, gpu.part) == (index, part)), GpuLoad(index=index, part=part)
        )

    def with_gpus(self, gpus: Iterable[GpuLoad]) -> "Load":
        """The same, these GPUs' loads replaced."""
        by_place = {(gpu.index, -1 if gpu.part is None else gpu.part): gpu for gpu in (*self.gpus, *gpus)}
        return replace(self, gpus=tuple(by_place[place] for place in sorted(by_place)))

    def with_gpu_facts(self, parts: Iterable[tuple[int, int]], faults: Iterable[tuple[int, str]]) -> "Load":
        """The same, these GPUs cut or broken otherwise; what was held of a GPU that is cut anew is let go."""
        cut, broken = dict(parts), dict(self.gpu_faults) | dict(faults)
        return replace(
            self,
            gpus=tuple(gpu for gpu in self.gpus if gpu.index not in cut),
            gpu_parts=tuple(sorted((dict(self.gpu_parts) | cut).items())),
            gpu_faults=tuple(sorted(broken.items())),
        )


IDLE = Load()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One load, numbered, so that the controller can see when the node shows it."""

    number: int
    load: Load

    def to_json(self) -> str:
        """The text of `load.json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """The inverse of `to_json`; the file is ours, so nonsense in it may raise anything."""
        raw = json.loads(text)
        told = raw["load"]
        told["gpus"] = tuple(GpuLoad(**gpu) for gpu in told["gpus"])
        for name in ("gpu_parts", "gpu_faults"):
            told[name] = tuple((index, what) for index, what in told[name])
        return cls(number=raw["number"], load=Load(**told))
