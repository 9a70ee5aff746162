"""The view of GPUs: a row for each device, with all who are on it."""

from collections.abc import Iterator

from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.gpu_users import GpuUser, is_strangers
from clbalance.render.gpus import excess_text
from clbalance.render.names import KnownNames
from clbalance.render.reports.nodes.load_gpus import (
    GPU_TONES,
    MODEL_CHARS,
    STRANGER,
    WITHOUT_REASON,
    Device,
    devices_on,
)
from clbalance.render.table import Cell, Column, Tone
from clbalance.render.text import DASH, iec
from clbalance.render.top.item import Item, Items, TopColumn, Value
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow

_COLUMNS = (
    TopColumn(column=Column(heading="NODE")),
    TopColumn(column=Column(heading="GPU")),
    TopColumn(column=Column(heading="MODEL", sacrifice=3)),
    TopColumn(column=Column(heading="MEM", align="right")),
    TopColumn(column=Column(heading="USE", align="right")),
    TopColumn(column=Column(heading="TEMP", align="right", sacrifice=2)),
    TopColumn(column=Column(heading="STATE")),
    TopColumn(column=Column(heading="USERS")),
    TopColumn(column=Column(heading="ON IT (REASON)")),
)


def gpu_items(found: Round) -> Items:
    """The devices of all nodes, node by node. A silent node has one row, because it may have some."""
    items = [
        item
        for row in found.rows
        if not isinstance(row.answer, Measured) or row.answer.reading.has_gpus
        for item in _items(row, found.names)
    ]
    return Items(columns=_COLUMNS, items=tuple(items))


def _items(row: NodeRow, names: KnownNames) -> Iterator[Item]:
    devices = devices_on(row)
    if isinstance(devices, Unknown):
        yield _without_devices(row, devices.reason)
        return
    assert isinstance(row.answer, Measured)
    for device in devices:
        yield _item(row.answer, device, names)
    for at, reason in enumerate(row.answer.reading.gpus_missing):
        yield _without_devices(row, f"GPUs missing: {reason}", f"missing{at}")


def _without_devices(row: NodeRow, reason: str, what: str = "") -> Item:
    state = "unknown" if isinstance(row.answer, Measured) else row.state
    nothing = Value.of("")
    return Item(
        key=f"gpu:{row.node}/{what}",
        values=(
            Value.of(row.node),
            *(nothing for _ in range(5)),
            Value.of(state, Tone.BAD),
            nothing,
            Value.of(f"({reason})", Tone.BAD),
        ),
        nodes=(row.node,),
    )


def _item(answer: Measured, device: Device, names: KnownNames) -> Item:
    gpu, condition = device.gpu, device.condition
    users = dict.fromkeys(names.shown_user(answer.node, uid) for uid in map(_uid, device.users) if uid is not None)
    return Item(
        key=f"gpu:{answer.node}/{gpu.uuid}",
        values=(
            Value.of(answer.node),
            Value.of(device.number),
            Value.of(gpu.model.removeprefix("NVIDIA ")[:MODEL_CHARS]),
            _memory(gpu),
            Value.number(gpu.use_pct, "{:.0f}%".format),
            Value.number(gpu.temperature_c, "{:.0f}C".format),
            Value.of(condition.state, GPU_TONES.get(condition.state, Tone.PLAIN)),
            Value.of(",".join(users)),
            _on_it(answer, device, names),
        ),
        nodes=(answer.node,),
    )


def _memory(gpu: Gpu) -> Value:
    used, total = gpu.mem_used_bytes, gpu.mem_total_bytes
    text = "/".join(DASH if isinstance(one, Unknown) else iec(one) for one in (used, total))
    return Value(cell=Cell(text), value=None if isinstance(used, Unknown) else float(used))


def _on_it(answer: Measured, device: Device, names: KnownNames) -> Value:
    """Jobs and programs on the device, and what is wrong with it."""
    told = [_user(answer, user, names) for user in device.users]
    condition = device.condition
    reasons = [] if condition.state in WITHOUT_REASON else [condition.reason]
    reasons += [f"{names.shown_job(answer, one.lease)} {excess_text(one)}" for one in device.excesses]
    reason = "; ".join(filter(None, reasons))
    has_strangers = any(is_strangers(user, answer.reading) for user in device.users)
    tone = Tone.WARN if reason or has_strangers else Tone.PLAIN
    return Value.of("  ".join([*told, *([f"({reason})"] if reason else [])]), tone)


def _user(answer: Measured, user: GpuUser, names: KnownNames) -> str:
    process = user.process
    program = "" if process is None else f" {process.name.rpartition('/')[2]}[{process.pid}]"
    if user.lease is not None:
        return f"job {names.shown_job(answer, user.lease)}{'' if user.holds_device else ' (no lease)'}{program}"
    return (STRANGER if is_strangers(user, answer.reading) else "no job") + program


def _uid(user: GpuUser) -> int | None:
    if user.process is not None:
        return user.process.uid
    return None if user.lease is None else user.lease.uid
