"""All names of expressions except labels: the type of each, and how it is read from a node's answer.

Load indices come from the table (`policy/indices/table.py`). Recent placements count in `r1m` and `mem`: else every
job of a burst would see the nodes as they were before the burst.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Unknown
from clbalance.model.plugins import ExternalIndex
from clbalance.policy.expressions.tree import ValueType
from clbalance.policy.expressions.values import Absent, Aggregate, Read, ReadWords, Subject, Words
from clbalance.policy.indices.row import Index, Unit
from clbalance.policy.indices.table import EXPRESSIONS

_NO_GPU = Absent("no GPU there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One name: `figure` reads a number, in bytes, per cent or plain; `words` reads a text or a version.

    `whole` reads the value that is 100 %.
    """

    kind: ValueType
    of_device: bool = False
    figure: Read | None = None
    words: ReadWords | None = None
    whole: Read | None = None
    unit: str = ""
    """The unit of a number in words, if it has one."""


_KINDS = {Unit.PERCENT: ValueType.PERCENT, Unit.BYTES: ValueType.SIZE}


def _number(read: Read) -> Fact:
    return Fact(kind=ValueType.NUMBER, figure=read)


def _of_index(index: Index) -> Fact:
    return Fact(
        kind=_KINDS.get(index.unit, ValueType.NUMBER),
        figure=index.effective or index.read,
        whole=index.whole,
        unit=index.unit.words,
    )


def _cpu_model(subject: Subject) -> Words:
    cpus = subject.answer.reading.cpus
    return cpus if isinstance(cpus, Unknown) else cpus.model or Unknown(reason="not told")


def _slots(subject: Subject) -> Aggregate:
    slots = subject.answer.slots
    return Absent("slots are not counted there") if slots is None else slots


def _gpus(subject: Subject) -> Aggregate:
    gpus = subject.answer.reading.gpus
    return gpus if isinstance(gpus, Unknown) else len(gpus)


def _of_gpu(kind: ValueType, figure: Callable[[Gpu], float | Unknown], whole: Read | None = None) -> Fact:
    def read(subject: Subject) -> Aggregate:
        match subject.gpu:
            case Gpu() as gpu:
                return figure(gpu)
            case None:
                return _NO_GPU
            case unknown:
                return unknown

    return Fact(kind=kind, of_device=True, figure=read, whole=whole)


def _words_of_gpu(kind: ValueType, words: Callable[[Gpu], str]) -> Fact:
    def read(subject: Subject) -> Words:
        match subject.gpu:
            case Gpu() as gpu:
                return words(gpu) or Unknown(reason=f"GPU {gpu.index} does not report it")
            case None:
                return _NO_GPU
            case unknown:
                return unknown

    return Fact(kind=kind, of_device=True, words=read)


def _unused_mem(gpu: Gpu) -> float | Unknown:
    total, used = gpu.mem_total_bytes, gpu.mem_used_bytes
    if isinstance(total, Unknown):
        return total
    return used if isinstance(used, Unknown) else total - used


_GPU_MEM = _of_gpu(ValueType.SIZE, lambda gpu: gpu.mem_total_bytes)

FACTS: Mapping[str, Fact] = {
    "node": Fact(kind=ValueType.TEXT, words=lambda subject: subject.answer.node),
    **{index.name: _of_index(index) for index in EXPRESSIONS},
    "cpu_model": Fact(kind=ValueType.TEXT, words=_cpu_model),
    "cpu_factor": _number(lambda subject: subject.answer.cpu_factor),
    "slots": _number(_slots),
    "gpus": _number(_gpus),
    "gpu_model": _words_of_gpu(ValueType.TEXT, lambda gpu: gpu.model),
    "gpu_mem": _GPU_MEM,
    "gmem": _of_gpu(ValueType.SIZE, _unused_mem, whole=_GPU_MEM.figure),
    "gut": _of_gpu(ValueType.PERCENT, lambda gpu: gpu.use_pct),
    "gpu_temp": _of_gpu(ValueType.NUMBER, lambda gpu: gpu.temperature_c),
    "gpu_index": _of_gpu(ValueType.NUMBER, lambda gpu: gpu.index),
    "gpu_uuid": _words_of_gpu(ValueType.TEXT, lambda gpu: gpu.uuid),
    "driver": _words_of_gpu(ValueType.VERSION, lambda gpu: gpu.driver_version),
    "cuda": _words_of_gpu(ValueType.VERSION, lambda gpu: gpu.cuda_version),
}
"""Facts by name. `mem swp tmp gmem` are free amounts, `mem_total gpu_mem` are totals."""


@lru_cache(maxsize=16)
def facts_with(external: tuple[ExternalIndex, ...]) -> Mapping[str, Fact]:
    """The facts, and the indices of the site's own programs."""
    if not external:
        return FACTS
    from clbalance.policy.indices.external import row_of  # few sites have any

    return {**{index.name: _of_index(row_of(index)) for index in external}, **FACTS}


RESERVED = frozenset({*FACTS, "and", "or", "not"})
"""Names that a label must not have."""


def label(name: str) -> ReadWords:
    """A reader of a label."""

    def read(subject: Subject) -> Words:
        value = subject.answer.labels.get(name)
        return Absent(f"no label `{name}` there") if value is None else value

    return read
