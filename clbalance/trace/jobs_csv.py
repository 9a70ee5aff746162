"""Jobs from a CSV file: `job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model`."""

from collections.abc import Iterable
from typing import Final

from clbalance.arrivals import Arrival, Trace, in_order_of_submit
from clbalance.errors import TraceError
from clbalance.model import Request
from clbalance.trace.rows import Row, rows

JOB_COLUMNS: Final = ("job", "submit_s", "duration_s", "cpus", "mem_bytes", "gpus", "gpu_share", "gpu_model")
_WHOLE: Final = 1000


def parse_jobs(name: str, lines: Iterable[str]) -> Trace:
    """The jobs of the file `name`, in the order of `submit_s`; `TraceError` for a line that is not one.

    Each takes its place on one node. Its duration is its estimate too, for the file has no other.
    """
    return Trace(arrivals=in_order_of_submit([_arrival(row) for row in rows(name, lines, JOB_COLUMNS)]))


def _arrival(row: Row) -> Arrival:
    duration_s = row.number_or_none("duration_s")
    gpus = row.whole("gpus")
    models = [model.strip() for model in row.cells["gpu_model"].split("|")]
    return Arrival(
        job=row.cells["job"],
        submit_s=row.number("submit_s"),
        duration_s=duration_s,
        estimate_s=duration_s,
        request=Request(
            cpus=row.number("cpus"),
            mem_bytes=row.whole("mem_bytes"),
            gpus=gpus,
            gpu_share=_share(row, gpus),
            gpu_models=frozenset(model for model in models if model) if gpus else frozenset(),
            slots=0,
        ),
    )


def _share(row: Row, gpus: int) -> float:
    thousandths = row.whole("gpu_share") if row.cells["gpu_share"] else _WHOLE
    if gpus == 0 or thousandths == _WHOLE:
        return 1.0
    if gpus == 1 and 0 < thousandths < _WHOLE:
        return thousandths / _WHOLE
    raise TraceError(
        f"{row.where}: gpu_share is {thousandths} of {gpus} GPUs",
        hint="give 1 to 999 thousandths of one GPU; leave it empty for whole ones",
    )
