"""Reads the figures of this machine by psutil, where its `/proc` does not tell them."""

import os
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

import psutil

from clbalance.model import Reading
from clbalance.probe.own_machine import OwnFigures, completed

_T = TypeVar("_T")


def with_own_figures(reading: Reading) -> Reading:
    """The reading of this machine, completed by what psutil can read."""
    return completed(reading, read_own_figures())


def read_own_figures() -> OwnFigures:
    """All that this system tells; it takes some 20 ms, for it looks at every process."""
    return OwnFigures(
        load_averages=_read(psutil.getloadavg),
        running=_read(_running),
        cpus=_read(psutil.cpu_count),
        cpu_times_s=_read(lambda: psutil.cpu_times()._asdict()),
        memory=_read(lambda: (psutil.virtual_memory().total, psutil.virtual_memory().available)),
        swap=_read(lambda: (psutil.swap_memory().total, psutil.swap_memory().free)),
        up_s=_read(lambda: max(0.0, time.time() - psutil.boot_time())),
        disk=_read(_disk),
        interfaces=_read(
            lambda: {
                name: (one.bytes_recv, one.bytes_sent)
                for name, one in psutil.net_io_counters(pernic=True, nowrap=False).items()
            }
        ),
        tmp=_read(_tmp),
    )


def _read(figure: Callable[[], _T]) -> _T | None:
    try:
        return figure()
    except (psutil.Error, OSError, RuntimeError, NotImplementedError, ValueError):
        return None  # this system does not tell it, or not us


def _running() -> int:
    statuses = {one.pid: one.info["status"] for one in psutil.process_iter(["status"])}
    return sum(status == psutil.STATUS_RUNNING for pid, status in statuses.items() if pid != os.getpid())


def _disk() -> tuple[int, int] | None:
    counters = psutil.disk_io_counters(nowrap=False)
    return None if counters is None else (counters.read_bytes, counters.write_bytes)


def _tmp() -> tuple[str, int, int]:
    folder = tempfile.gettempdir()
    usage = psutil.disk_usage(folder)
    return folder, usage.total, usage.free
