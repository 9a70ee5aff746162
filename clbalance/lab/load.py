"""The load a lab node pretends to have, and its JSON form, which the controller writes and the node's init reads.

Standard library only, light to import: every node's init does.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLoad:
    """What one GPU pretends; `process` names a program that is listed as holding the memory."""

    index: int
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
    spin: int = 0
    """Busy processes that the node really runs."""
    gpus: tuple[GpuLoad, ...] = ()

    def gpu(self, index: int) -> GpuLoad:
        """The load of one GPU; idle where none was set."""
        return next((gpu for gpu in self.gpus if gpu.index == index), GpuLoad(index=index))

    def with_gpus(self, gpus: Iterable[GpuLoad]) -> "Load":
        """The same, these GPUs' loads replaced."""
        by_index = {gpu.index: gpu for gpu in (*self.gpus, *gpus)}
        return replace(self, gpus=tuple(by_index[index] for index in sorted(by_index)))


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
        gpus = tuple(GpuLoad(**gpu) for gpu in raw["load"].pop("gpus"))
        return cls(number=raw["number"], load=Load(**raw["load"], gpus=gpus))
