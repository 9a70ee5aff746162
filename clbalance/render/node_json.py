"""One node as JSON: load indices, leases, drain marks; LSF's names, units in the keys.

An unknown index is null and has its reason under `unknown`; a silent node's indices are all null, and the reason is
the node's. A number that JSON cannot express (infinite, not a number) is unknown too. `slots` is null without a reason
if slots are not counted. `indices` has the indices of the site's own programs by name; the reasons of unknown ones are
under `indices.NAME`.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from clbalance.model import DrainMark, Lease, Measured, Reading, Silent, Unknown
from clbalance.policy.allocations import age_s
from clbalance.policy.indices.row import AnsweredNode, Index
from clbalance.policy.indices.table import INDICES
from clbalance.render.gpus import gpus_document, job_document
from clbalance.render.names import NO_NAMES, KnownNames
from clbalance.render.text import Json, finite
from clbalance.render.views import NodeRow

_Index: TypeAlias = float | str | Unknown | Sequence[Json] | Mapping[str, Json] | None


def node_document(row: NodeRow, names: KnownNames = NO_NAMES) -> dict[str, Json]:
    """`row` as JSON. All keys are always present; without `names`, users and numbers of jobs are null."""
    cause: str | None = None
    unknown: dict[str, Json] = {}
    match row.answer:
        case Silent() as silent:
            cause = str(silent.cause)
            indices: dict[str, Json] = dict.fromkeys(INDEX_KEYS)
        case Measured() as measured:
            indices, unknown = _split(_indices(measured, names))
            unknown |= {
                f"indices.{one.index.name}": one.value.reason
                for one in measured.site.values
                if isinstance(one.value, Unknown)
            }
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
    """The values, null where unknown, and the reasons of the unknown ones."""
    shown: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    for key, value in indices.items():
        if isinstance(value, Unknown):
            shown[key], unknown[key] = None, value.reason
        elif isinstance(value, float) and not math.isfinite(value):
            shown[key], unknown[key] = None, f"not a finite number: {value}"
        else:
            shown[key] = value
    return shown, unknown


def _indices(measured: Measured, names: KnownNames) -> dict[str, _Index]:
    reading, node = measured.reading, AnsweredNode.of(measured)
    indices: dict[str, _Index] = {index.json: _in_base_units(index, index.read(node)) for index in _IN_JSON}
    site = measured.site
    facts: dict[str, _Index] = {
        "tmp_path": reading.tmp if isinstance(reading.tmp, Unknown) else reading.tmp.path,
        "cpu_model": reading.cpus if isinstance(reading.cpus, Unknown) else reading.cpus.model,
        "cpu_factor": measured.cpu_factor,
        "slots": measured.slots,
        "labels": dict(sorted(measured.labels.items())),
        "taints": sorted(measured.taints),
        "debt_cpus": node.allocations.unreflected_cpus,
        "boot_id": reading.boot_id,
        "uptime_s": reading.uptime_s,
        "python": reading.python,
        "rtt_s": measured.rtt_s,
        "gpus": gpus_document(measured, names),
        "leases": leases_document(measured, names),
        "drains": drains_document(reading),
        "indices": {one.index.name: None if isinstance(one.value, Unknown) else one.value for one in site.values},
        "checks": [{"name": one.name, "state": one.state.word, "text": one.text} for one in site.checks],
    }
    found = indices | facts
    return {key: found[key] for key in INDEX_KEYS}


def _in_base_units(index: Index, value: float | Unknown) -> float | Unknown:
    return value if isinstance(value, Unknown) else value * index.unit.json


_IN_JSON = tuple(index for index in INDICES if index.json)
_PATH = {"tmp_free_bytes": ("tmp_path",)}
"""Keys of texts that come before the key of a number."""
INDEX_KEYS = (
    *(key for index in _IN_JSON for key in (*_PATH.get(index.json, ()), index.json)),
    "cpu_model", "cpu_factor", "slots", "labels", "taints", "debt_cpus",
    "boot_id", "uptime_s", "python", "rtt_s", "gpus", "leases", "drains", "indices", "checks",
)  # fmt: skip
"""Every index and fact of a node, in the order shown."""


# Leases and drain marks as JSON; times in ISO 8601, ages in seconds by the node's own clock.


def leases_document(measured: Measured, names: KnownNames) -> list[Json] | Unknown:
    """All leases. If a lease cannot be read, its resources are null, and `unreadable` has the reason."""
    leases = measured.reading.leases
    return leases if isinstance(leases, Unknown) else [_lease(measured, lease, names) for lease in leases]


def drains_document(reading: Reading) -> list[Json] | Unknown:
    """All drain marks in force, also those that do not bind us."""
    drains = reading.drains
    return drains if isinstance(drains, Unknown) else [_drain(mark) for mark in drains]


def _lease(measured: Measured, lease: Lease, names: KnownNames) -> Json:
    known, uptime_s, allocation = names.job(measured, lease), measured.reading.uptime_s, lease.allocation
    whose: dict[str, Json] = {
        **job_document(measured, lease, names),
        "attempt": lease.attempt,
        "command": None if known is None else known.command,
    }
    if isinstance(allocation, Unknown):
        return {**whose, **dict.fromkeys(_TAKEN), "unreadable": allocation.reason}
    taken: tuple[Json, ...] = (
        allocation.cpus,
        allocation.mem_bytes,
        list(allocation.gpus),
        allocation.gpu_share,
        allocation.slots,
        allocation.exclusive,
        allocation.name,
        None if isinstance(uptime_s, Unknown) else age_s(allocation, uptime_s),
    )
    return {**whose, **dict(zip(_TAKEN, taken, strict=True)), "unreadable": None}


_TAKEN = ("cpus", "mem_bytes", "gpus", "gpu_share", "slots", "exclusive", "name", "age_s")


def _drain(mark: DrainMark) -> Json:
    return {
        "uid": mark.uid,
        "by": mark.by,
        "reason": mark.reason,
        "at": _iso(mark.at),
        "until": _iso(mark.until),
        "binds_all": mark.binds_all,
        "proposed": mark.proposal is not None,
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
