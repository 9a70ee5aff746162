"""One node as JSON: LSF's names for the indices, units in the keys.

An unknown index is null and has its reason under `unknown`; a silent node's indices are all null, for the
reason that the node has. A number that JSON cannot carry (infinite, not a number) is unknown too. `slots` is null
without a reason where they are not counted.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from clbalance.model import Measured, Reading, Silent, Unknown
from clbalance.policy.ledger import ledger_of
from clbalance.render.gpus import gpus_document
from clbalance.render.json_value import Json, finite
from clbalance.render.promises_document import drains_document, leases_document
from clbalance.render.views import NodeRow, load_per_cpu

_Index: TypeAlias = float | str | Unknown | Sequence[Json] | Mapping[str, Json] | None


def node_document(row: NodeRow) -> dict[str, Json]:
    """`row` with every key, whatever is known."""
    cause: str | None = None
    unknown: Mapping[str, Json] = {}
    match row.answer:
        case Silent() as silent:
            cause = str(silent.cause)
            indices: Mapping[str, Json] = dict.fromkeys(INDEX_KEYS)
        case Measured() as measured:
            indices, unknown = _split(_indices(measured))
    return {
        "name": row.node,
        "state": row.state,
        "reason": row.reason,
        "cause": cause,
        "score": finite(row.score),
        "violated": sorted(row.violated),
        **indices,
        "unknown": unknown,
    }


def _split(indices: Mapping[str, _Index]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The values to show, null where unknown, and the reasons of those."""
    shown: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    for key, value in indices.items():
        if isinstance(value, Unknown):
            shown[key], unknown[key] = None, value.why
        elif isinstance(value, float) and not math.isfinite(value):
            shown[key], unknown[key] = None, f"not a finite number: {value}"
        else:
            shown[key] = value
    return shown, unknown


def _indices(measured: Measured) -> dict[str, _Index]:
    reading = measured.reading
    return {
        **_run_queue(reading),
        "r1m_per_cpu": load_per_cpu(measured),
        **_rates(measured),
        **_memory(reading),
        **_tmp(reading),
        "ls": reading.logins,
        **_pressure(reading),
        "cpus": reading.cpus if isinstance(reading.cpus, Unknown) else reading.cpus.online,
        "cpu_model": reading.cpus if isinstance(reading.cpus, Unknown) else reading.cpus.model,
        "cpu_factor": measured.cpu_factor,
        "slots": measured.slots,
        "labels": dict(sorted(measured.labels.items())),
        "taints": sorted(measured.taints),
        "debt_cpus": ledger_of(measured).debt_cpus,
        "boot_id": reading.boot_id,
        "uptime_s": reading.uptime_s,
        "python": reading.python,
        "rtt_s": measured.rtt_s,
        "gpus": gpus_document(measured),
        "leases": leases_document(reading),
        "drains": drains_document(reading),
    }


def _run_queue(reading: Reading) -> dict[str, _Index]:
    read = reading.run_queue
    if isinstance(read, Unknown):
        return dict.fromkeys(("r1m", "r5m", "r15m", "rq"), read)
    return {"r1m": read.r1m, "r5m": read.r5m, "r15m": read.r15m, "rq": read.rq}


def _rates(measured: Measured) -> dict[str, _Index]:
    read = measured.rates
    if isinstance(read, Unknown):
        return dict.fromkeys(("ut_pct", "disk_bytes_per_s", "net_bytes_per_s"), read)
    return {
        "ut_pct": read.ut_pct,
        "disk_bytes_per_s": read.disk_bytes_per_s,
        "net_bytes_per_s": read.net_bytes_per_s,
    }


def _memory(reading: Reading) -> dict[str, _Index]:
    read = reading.memory
    if isinstance(read, Unknown):
        keys = ("mem_available_bytes", "mem_total_bytes", "swp_free_bytes", "swp_total_bytes")
        return dict.fromkeys(keys, read)
    return {
        "mem_available_bytes": read.available_bytes,
        "mem_total_bytes": read.total_bytes,
        "swp_free_bytes": read.swap_free_bytes,
        "swp_total_bytes": read.swap_total_bytes,
    }


def _tmp(reading: Reading) -> dict[str, _Index]:
    read = reading.tmp
    if isinstance(read, Unknown):
        return dict.fromkeys(("tmp_path", "tmp_free_bytes", "tmp_total_bytes"), read)
    return {"tmp_path": read.path, "tmp_free_bytes": read.free_bytes, "tmp_total_bytes": read.total_bytes}


def _pressure(reading: Reading) -> dict[str, _Index]:
    read = reading.pressure
    if isinstance(read, Unknown):
        return dict.fromkeys(("psi_cpu_pct", "psi_mem_pct", "psi_io_pct"), read)
    return {"psi_cpu_pct": read.cpu_pct, "psi_mem_pct": read.mem_pct, "psi_io_pct": read.io_pct}


INDEX_KEYS = (
    "r1m", "r5m", "r15m", "rq", "r1m_per_cpu", "ut_pct", "disk_bytes_per_s", "net_bytes_per_s",
    "mem_available_bytes", "mem_total_bytes", "swp_free_bytes", "swp_total_bytes",
    "tmp_path", "tmp_free_bytes", "tmp_total_bytes", "ls", "psi_cpu_pct", "psi_mem_pct", "psi_io_pct",
    "cpus", "cpu_model", "cpu_factor", "slots", "labels", "taints", "debt_cpus",
    "boot_id", "uptime_s", "python", "rtt_s", "gpus", "leases", "drains",
)  # fmt: skip
"""Every index of a node, in the order shown."""
