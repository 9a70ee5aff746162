"""`load --gpus`: a line for each device and each further process on it: how it stands, and who is on it."""

from collections.abc import Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.gpu_users import GpuUser, ShareExcess, is_strangers, share_excesses, users_of
from clbalance.policy.placement.gpus import GpuCondition, GpuState
from clbalance.render.gpus import device_numbers, excess_text, gpu_conditions
from clbalance.render.names import NO_NAMES, KnownNames
from clbalance.render.node_json import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, iec
from clbalance.render.views import NodeRow, least_loaded_first

GPU_FIELDS = (
    "node", "index", "uuid", "model", "driver_version", "mem_used_bytes", "mem_total_bytes", "use_pct", "temperature_c",
    "state", "reason", "uid", "user", "pid", "program", "process_mem_bytes", "job",
)  # fmt: skip
"""The fields in plain text, a line for each process on a device; for a device without any, one line."""

STRANGER = "stranger"
"""Stands in place of a job: the process belongs to another user, and to no job with a lease."""
_NO_JOB = "no job"
_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="GPU"),
    Column(heading="MODEL", sacrifice=6),
    Column(heading="DRIVER", sacrifice=7),
    Column(heading="MEM", align="right"),
    Column(heading="USE", align="right"),
    Column(heading="TEMP", align="right", sacrifice=4),
    Column(heading="STATE"),
    Column(heading="USER"),
    Column(heading="PID", align="right", sacrifice=2),
    Column(heading="GPU-MEM", align="right", sacrifice=3),
    Column(heading="JOB"),
    Column(heading="PROGRAM"),
)
_REASON = Column(heading="REASON")
GPU_TONES = {
    GpuState.FREE: Tone.GOOD,
    GpuState.FAULTY: Tone.BAD,
    GpuState.UNKNOWN: Tone.BAD,
    GpuState.HELD_IDLE: Tone.WARN,
}
WITHOUT_REASON = frozenset({GpuState.FREE, GpuState.BUSY})
"""States that the other columns explain."""
MODEL_CHARS = _PROGRAM_CHARS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as it is shown, with who is on it. `number`: its index; of a MIG instance `INDEX.PART`."""

    number: str
    gpu: Gpu
    condition: GpuCondition
    users: tuple[GpuUser, ...]
    excesses: tuple[ShareExcess, ...]


@dataclass(frozen=True, slots=True)
class LoadGpusReport(Report):
    """The devices of nodes, least loaded nodes first. Nodes without devices are left out; silent ones are not."""

    rows: Sequence[NodeRow]
    names: KnownNames = NO_NAMES

    def human(self, display: Display) -> str:
        return display.table(self.table(), last="cut")

    def table(self) -> Table:
        """The lines of all nodes; with reasons only if there is one."""
        lines = [line for row in self._rows() for line in self._lines(row)]
        has_reasons = any(line[-1].text for line in lines)
        columns = (*_COLUMNS, _REASON) if has_reasons else _COLUMNS
        return Table(columns=columns, rows=tuple(line[: len(columns)] for line in lines))

    def plain(self) -> str:
        """The `GPU_FIELDS` of each process or idle device."""
        return plain_lines(fields for row in self._rows() for fields in self._fields(row))

    def json(self) -> dict[str, Json]:
        """As `load`; `gpus` of each node has who is on them."""
        return {"nodes": [node_document(row, self.names) for row in least_loaded_first(self.rows)]}

    def _rows(self) -> list[NodeRow]:
        return [
            row
            for row in least_loaded_first(self.rows)
            if not isinstance(row.answer, Measured) or row.answer.reading.has_gpus
        ]

    def _lines(self, row: NodeRow) -> Iterator[tuple[Cell, ...]]:
        devices = devices_on(row)
        if isinstance(devices, Unknown):
            yield _line(row, state=Cell(_state(row), Tone.BAD), reason=devices.reason)
            return
        assert isinstance(row.answer, Measured)
        for device in devices:
            yield from self._lines_of(row, row.answer, device)
        for reason in row.answer.reading.gpus_missing:
            yield _line(row, state=Cell(GpuState.UNKNOWN, Tone.BAD), reason=f"GPUs missing: {reason}")

    def _lines_of(self, row: NodeRow, answer: Measured, device: Device) -> Iterator[tuple[Cell, ...]]:
        gpu, condition = device.gpu, device.condition
        told: tuple[Cell, ...] = (
            Cell(gpu.model.removeprefix("NVIDIA ")[:MODEL_CHARS]),
            Cell(gpu.driver_version or DASH),
            Cell(f"{_size(gpu.mem_used_bytes)}/{_size(gpu.mem_total_bytes)}"),
            Cell(_figure(gpu.use_pct, "%")),
            Cell(_figure(gpu.temperature_c, "C")),
            Cell(condition.state, GPU_TONES.get(condition.state, Tone.PLAIN)),
        )
        reason = "" if condition.state in WITHOUT_REASON else condition.reason
        excesses = {one.lease.name: one for one in device.excesses}
        for user in device.users or (None,):
            excess = excesses.pop(user.lease.name, None) if user is not None and user.lease is not None else None
            reasons = [reason, excess_text(excess) if excess else ""]
            yield (
                Cell(row.node),
                Cell(device.number),
                *told,
                *self._who(answer, user),
                Cell("; ".join(filter(None, reasons)), Tone.WARN if excess else Tone.PLAIN),
            )
            told, reason = (Cell(""),) * len(told), ""  # only on its first line

    def _who(self, answer: Measured, user: GpuUser | None) -> tuple[Cell, ...]:
        """USER, PID, GPU-MEM, JOB and PROGRAM."""
        if user is None:
            return tuple(Cell(DASH, Tone.QUIET) for _ in range(5))
        process, uid = user.process, _uid(user)
        return (
            Cell(DASH if uid is None else self.names.shown_user(answer.node, uid)),
            Cell(DASH if process is None else str(process.pid)),
            Cell(DASH if process is None else _size(process.mem_bytes)),
            self._job(answer, user),
            Cell(DASH if process is None else process.name.rpartition("/")[2][:_PROGRAM_CHARS] or DASH),
        )

    def _job(self, answer: Measured, user: GpuUser) -> Cell:
        if user.lease is not None:
            job = self.names.shown_job(answer, user.lease)
            return Cell(job) if user.holds_device else Cell(f"{job} (no lease)", Tone.WARN)
        match is_strangers(user, answer.reading):
            case None:
                return Cell(DASH)
            case True:
                return Cell(STRANGER, Tone.WARN)
            case False:
                return Cell(_NO_JOB)

    def _fields(self, row: NodeRow) -> Iterator[list[Json]]:
        devices = devices_on(row)
        if isinstance(devices, Unknown):
            blank = dict.fromkeys(GPU_FIELDS)
            yield list({**blank, "node": row.node, "state": _state(row), "reason": devices.reason}.values())
            return
        assert isinstance(row.answer, Measured)
        for device in devices:
            for user in device.users or (None,):
                yield self._device_fields(row.answer, device, user)

    def _device_fields(self, answer: Measured, device: Device, user: GpuUser | None) -> list[Json]:
        gpu, process = device.gpu, None if user is None else user.process
        uid = None if user is None else _uid(user)
        held = None if process is None else _known(process.mem_bytes)
        job = DASH if user is None else self._job(answer, user).text
        return [
            *(answer.node, device.number, gpu.uuid, gpu.model, gpu.driver_version),
            *map(_known, (gpu.mem_used_bytes, gpu.mem_total_bytes, gpu.use_pct, gpu.temperature_c)),
            *(device.condition.state.replace(" ", "_"), device.condition.reason),
            *(uid, None if uid is None else self.names.user(answer.node, uid)),
            *((None, None) if process is None else (process.pid, process.name)),
            *(held, job.partition(" (")[0].replace(" ", "_")),
        ]


def _state(row: NodeRow) -> str:
    """In place of the states of devices that are not known."""
    return GpuState.UNKNOWN if isinstance(row.answer, Measured) else row.state


def _uid(user: GpuUser) -> int | None:
    if user.process is not None:
        return user.process.uid
    return None if user.lease is None else user.lease.uid


def devices_on(row: NodeRow) -> list[Device] | Unknown:
    """The devices of a node, in its order; unknown, if they are or the node is silent."""
    if not isinstance(row.answer, Measured):
        return Unknown(reason=row.reason or "")
    reading = row.answer.reading
    if isinstance(reading.gpus, Unknown):
        return Unknown(reason=f"GPUs unknown: {reading.gpus.reason}")
    users, excesses, numbers = users_of(reading), share_excesses(reading), device_numbers(reading.gpus)
    return [
        Device(
            number=numbers[gpu.uuid],
            gpu=gpu,
            condition=condition,
            users=users[gpu.uuid],
            excesses=tuple(one for one in excesses if one.gpu is gpu),
        )
        for gpu, _, condition in gpu_conditions(row.answer, reading.gpus)
    ]


def _line(row: NodeRow, *, state: Cell, reason: str) -> tuple[Cell, ...]:
    """The line of a node whose devices are not known."""
    blanks = [Cell(DASH, Tone.QUIET) for _ in _COLUMNS]
    blanks[0] = Cell(row.node)
    blanks[[column.heading for column in _COLUMNS].index("STATE")] = state
    return (*blanks, Cell(reason))


def _size(size_bytes: int | Unknown) -> str:
    return DASH if isinstance(size_bytes, Unknown) else iec(size_bytes)


def _figure(value: float | Unknown, unit: str) -> str:
    return DASH if isinstance(value, Unknown) else f"{value:.0f}{unit}"


def _known(value: float | Unknown) -> float | None:
    return None if isinstance(value, Unknown) else value
