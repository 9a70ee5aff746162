"""What is kept of a reading: its boot, its uptime and its counters, as one row of the table `reading`.

Differences need no more. What a row cannot hold is not remembered, whoever made it up: a node may say anything.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from clbalance.model import CpuTicks, Reading, Traffic, Unknown
from clbalance.ports import Remembered
from clbalance.store.text import storable

COLUMNS = (
    "at_us, boot_id, uptime_s, ticks_busy, ticks_total,"
    " disk_read_bytes, disk_written_bytes, net_received_bytes, net_sent_bytes"
)

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Cell, ...]

_NOT_KEPT = Unknown(why="not remembered")
_NOT_KNOWN = Unknown(why="not known when the node was last asked")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1
"""SQLite's largest integer; the kernel's counters are unsigned and may be told as twice that."""


def row_of(at: datetime, reading: Reading) -> Row:
    """The cells of `COLUMNS`."""
    return (
        (at - _EPOCH) // timedelta(microseconds=1),
        boot_of(reading),
        None if isinstance(reading.uptime_s, Unknown) else float(reading.uptime_s),
        *_ticks_cells(reading.cpu_ticks),
        *_traffic_cells(reading.traffic),
    )


def boot_of(reading: Reading) -> str | None:
    """The boot_id as it is kept."""
    return None if isinstance(reading.boot_id, Unknown) else storable(reading.boot_id)


def remembered(row: Sequence[Cell]) -> Remembered | None:
    """What a row tells, or None where its time is none (a damaged database may hold any type in any column)."""
    at_us, boot_id, uptime_s, *counters = row
    if not isinstance(at_us, int):
        return None
    try:
        at = _EPOCH + timedelta(microseconds=at_us)
    except OverflowError:
        return None
    return Remembered(
        at=at,
        reading=Reading(
            boot_id=boot_id if isinstance(boot_id, str) else _NOT_KNOWN,
            uptime_s=uptime_s if isinstance(uptime_s, float) else _NOT_KNOWN,
            cpu_ticks=_ticks(counters[:2]),
            traffic=_traffic(counters[2:]),
            run_queue=_NOT_KEPT,
            cpus=_NOT_KEPT,
            memory=_NOT_KEPT,
            pressure=_NOT_KEPT,
            tmp=_NOT_KEPT,
            logins=_NOT_KEPT,
            python=_NOT_KEPT,
            gpus=_NOT_KEPT,
            uid=_NOT_KEPT,
            leases=_NOT_KEPT,
            drains=_NOT_KEPT,
        ),
    )


def _ticks_cells(ticks: CpuTicks | Unknown) -> Row:
    match ticks:
        case CpuTicks(busy=busy, total=total):
            return _held(busy, total)
        case Unknown():
            return (None,) * 2


def _ticks(cells: Sequence[Cell]) -> CpuTicks | Unknown:
    match cells:
        case (int(busy), int(total)):
            return CpuTicks(busy=busy, total=total)
        case _:
            return _NOT_KNOWN


def _traffic_cells(traffic: Traffic | Unknown) -> Row:
    match traffic:
        case Traffic(
            disk_read_bytes=read, disk_written_bytes=written, net_received_bytes=received, net_sent_bytes=sent
        ):
            return _held(read, written, received, sent)
        case Unknown():
            return (None,) * 4


def _traffic(cells: Sequence[Cell]) -> Traffic | Unknown:
    match cells:
        case (int(read), int(written), int(received), int(sent)):
            return Traffic(
                disk_read_bytes=read, disk_written_bytes=written, net_received_bytes=received, net_sent_bytes=sent
            )
        case _:
            return _NOT_KNOWN


def _held(*counters: int) -> Row:
    """The counters, or nothing of them where one does not fit: half a section is no section."""
    return counters if all(0 <= counter <= _LARGEST for counter in counters) else (None,) * len(counters)
