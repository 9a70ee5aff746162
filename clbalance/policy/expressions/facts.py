"""Every name that an expression knows beside labels: what it is, and how it is read from a node's answer.

LSF's names for the load indices. What was placed on a node a moment ago counts in `r1m` and `mem`, as it does in
thresholds: else a burst would see every node as it was before.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Gpu, Measured, Memory, Pressure, Rates, RunQueue, TmpSpace, Unknown
from clbalance.policy.expressions.tree import Kind
from clbalance.policy.expressions.values import Absent, Figure, Read, ReadWords, Subject, Words
from clbalance.policy.ledger import ledger_of

_Section = TypeVar("_Section")
_NO_GPU = Absent("no GPU there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One name: `figure` for what is counted, in bytes, per cent or as it is; `words` for texts and versions.

    `whole` is what a percentage of it is taken from.
    """

    kind: Kind
    of_device: bool = False
    figure: Read | None = None
    words: ReadWords | None = None
    whole: Read | None = None


def _number(read: Read) -> Fact:
    return Fact(kind=Kind.NUMBER, figure=read)


def _of_section(read: Callable[[Measured], _Section | Unknown], figure: Callable[[_Section], float]) -> Read:
    def read_figure(subject: Subject) -> Figure:
        section = read(subject.answer)
        return section if isinstance(section, Unknown) else figure(section)

    return read_figure


def _queue(figure: Callable[[RunQueue], float]) -> Read:
    return _of_section(lambda answer: answer.reading.run_queue, figure)


def _memory(figure: Callable[[Memory], float]) -> Read:
    return _of_section(lambda answer: answer.reading.memory, figure)


def _tmp(figure: Callable[[TmpSpace], float]) -> Read:
    return _of_section(lambda answer: answer.reading.tmp, figure)


def _pressure(figure: Callable[[Pressure], float]) -> Fact:
    return Fact(kind=Kind.PERCENT, figure=_of_section(lambda answer: answer.reading.pressure, figure))


def _cpus(figure: Callable[[Cpus], float]) -> Read:
    return _of_section(lambda answer: answer.reading.cpus, figure)


def _rates(figure: Callable[[Rates], float]) -> Read:
    return _of_section(lambda answer: answer.rates, figure)


def _r1m(subject: Subject) -> Figure:
    queue = subject.answer.reading.run_queue
    return queue if isinstance(queue, Unknown) else queue.r1m + ledger_of(subject.answer).debt_cpus


def _mem(subject: Subject) -> Figure:
    memory = subject.answer.reading.memory
    if isinstance(memory, Unknown):
        return memory
    return max(0.0, memory.available_bytes - ledger_of(subject.answer).debt_mem_bytes)


def _cpu_model(subject: Subject) -> Words:
    cpus = subject.answer.reading.cpus
    return cpus if isinstance(cpus, Unknown) else cpus.model or Unknown(why="not told")


def _logins(subject: Subject) -> Figure:
    return subject.answer.reading.logins


def _slots(subject: Subject) -> Figure:
    slots = subject.answer.slots
    return Absent("slots are not counted there") if slots is None else slots


def _gpus(subject: Subject) -> Figure:
    gpus = subject.answer.reading.gpus
    return gpus if isinstance(gpus, Unknown) else len(gpus)


def _of_gpu(kind: Kind, figure: Callable[[Gpu], float | Unknown], whole: Read | None = None) -> Fact:
    def read(subject: Subject) -> Figure:
        match subject.gpu:
            case Gpu() as gpu:
                return figure(gpu)
            case None:
                return _NO_GPU
            case unknown:
                return unknown

    return Fact(kind=kind, of_device=True, figure=read, whole=whole)


def _words_of_gpu(kind: Kind, words: Callable[[Gpu], str]) -> Fact:
    def read(subject: Subject) -> Words:
        match subject.gpu:
            case Gpu() as gpu:
                return words(gpu) or Unknown(why=f"GPU {gpu.index} does not tell")
            case None:
                return _NO_GPU
            case unknown:
                return unknown

    return Fact(kind=kind, of_device=True, words=read)


_GPU_MEM = _of_gpu(Kind.SIZE, lambda gpu: gpu.mem_total_bytes)

FACTS: Mapping[str, Fact] = {
    "node": Fact(kind=Kind.TEXT, words=lambda subject: subject.answer.node),
    "r1m": _number(_r1m),
    "r5m": _number(_queue(lambda queue: queue.r5m)),
    "r15m": _number(_queue(lambda queue: queue.r15m)),
    "rq": _number(_queue(lambda queue: queue.rq)),
    "ut": Fact(kind=Kind.PERCENT, figure=_rates(lambda rates: rates.ut_pct)),
    "mem": Fact(kind=Kind.SIZE, figure=_mem, whole=_memory(lambda memory: memory.total_bytes)),
    "mem_total": Fact(kind=Kind.SIZE, figure=_memory(lambda memory: memory.total_bytes)),
    "swp": Fact(
        kind=Kind.SIZE,
        figure=_memory(lambda memory: memory.swap_free_bytes),
        whole=_memory(lambda memory: memory.swap_total_bytes),
    ),
    "tmp": Fact(kind=Kind.SIZE, figure=_tmp(lambda tmp: tmp.free_bytes), whole=_tmp(lambda tmp: tmp.total_bytes)),
    "ls": _number(_logins),
    "psi_cpu": _pressure(lambda pressure: pressure.cpu_pct),
    "psi_mem": _pressure(lambda pressure: pressure.mem_pct),
    "psi_io": _pressure(lambda pressure: pressure.io_pct),
    "cpus": _number(_cpus(lambda cpus: cpus.online)),
    "cpu_model": Fact(kind=Kind.TEXT, words=_cpu_model),
    "cpu_factor": _number(lambda subject: subject.answer.cpu_factor),
    "slots": _number(_slots),
    "gpus": _number(_gpus),
    "gpu_model": _words_of_gpu(Kind.TEXT, lambda gpu: gpu.model),
    "gpu_mem": _GPU_MEM,
    "gmem": _of_gpu(Kind.SIZE, lambda gpu: gpu.mem_total_bytes - gpu.mem_used_bytes, whole=_GPU_MEM.figure),
    "gut": _of_gpu(Kind.PERCENT, lambda gpu: gpu.use_pct),
    "gpu_temp": _of_gpu(Kind.NUMBER, lambda gpu: gpu.temperature_c),
    "gpu_index": _of_gpu(Kind.NUMBER, lambda gpu: gpu.index),
    "gpu_uuid": _words_of_gpu(Kind.TEXT, lambda gpu: gpu.uuid),
    "driver": _words_of_gpu(Kind.VERSION, lambda gpu: gpu.driver_version),
    "cuda": _words_of_gpu(Kind.VERSION, lambda gpu: gpu.cuda_version),
}
"""By name. Free are `mem swp tmp gmem`, all there is are `mem_total gpu_mem`."""

RESERVED = frozenset({*FACTS, "and", "or", "not"})
"""No label is called so."""


def label(name: str) -> ReadWords:
    """How a label is read."""

    def read(subject: Subject) -> Words:
        value = subject.answer.labels.get(name)
        return Absent(f"no label `{name}` there") if value is None else value

    return read
