"""Leases and drain marks of one node as JSON; times in ISO 8601, ages in seconds by the node's own clock."""

from datetime import datetime

from clbalance.model import DrainMark, Lease, Reading, Unknown
from clbalance.policy.ledger import age_s
from clbalance.render.json_value import Json


def leases_document(reading: Reading) -> list[Json] | Unknown:
    """Every lease that is held; what one that cannot be read takes is null, with the reason in `unreadable`."""
    leases = reading.leases
    return leases if isinstance(leases, Unknown) else [_lease(lease, reading.uptime_s) for lease in leases]


def drains_document(reading: Reading) -> list[Json] | Unknown:
    """Every drain mark, whomever it binds, expired ones too."""
    drains = reading.drains
    return drains if isinstance(drains, Unknown) else [_drain(mark) for mark in drains]


def _lease(lease: Lease, uptime_s: float | Unknown) -> Json:
    whose: dict[str, Json] = {"key": lease.key, "attempt": lease.attempt, "uid": lease.uid}
    promise = lease.promise
    if isinstance(promise, Unknown):
        return {**whose, **dict.fromkeys(_TAKEN), "unreadable": promise.why}
    taken: tuple[Json, ...] = (
        promise.cpus,
        promise.mem_bytes,
        list(promise.gpus),
        promise.gpu_share,
        promise.slots,
        promise.exclusive,
        promise.name,
        None if isinstance(uptime_s, Unknown) else age_s(promise, uptime_s),
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
