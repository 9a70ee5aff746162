"""The JSON of leases and drain marks: the owner's claims, checked against limits.

Only a lease that is locked for writing counts; a lease that cannot be read counts as the whole node.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from clbalance.model import Allocation, DrainMark, Lease, Proposal, Unknown
from clbalance.probe.frame import whole, words_of
from clbalance.probe.host import parse_cpulist
from clbalance.probe.lease_files import Lock, Mark, Marks, lock_on

# -- the JSON object of a lease or a drain mark

Claim: TypeAlias = Mapping[str, object]

_VERSION = 1


class NotAClaimError(ValueError):
    """The text of a mark is malformed; caught by the parsers of this module."""


def parse_claim(text: str) -> Claim:
    """The JSON object, if it has our version; unknown keys are kept and ignored."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAClaimError("no JSON" if text else "empty, too long or not readable") from error
    if not isinstance(found, dict):
        raise NotAClaimError("no JSON object")
    if found.get("v") != _VERSION:
        raise NotAClaimError(f"not of version {_VERSION}")
    return found


def number(claim: Claim, key: str, *, most: float) -> float:
    """The number 0…`most` under `key`; `NotAClaimError` otherwise, also for JSON's `true` and Python's NaN."""
    value = claim.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise NotAClaimError(f"`{key}` is no number from 0 to {most:g}")
    return float(value)


def whole_number(claim: Claim, key: str, *, most: int) -> int:
    """The integer 0…`most` under `key`."""
    value = claim.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise NotAClaimError(f"`{key}` is no integer from 0 to {most}")
    return value


def words(claim: Claim, key: str, *, most: int = 120) -> str:
    """One printable line under `key`."""
    value = claim.get(key)
    if not isinstance(value, str):
        raise NotAClaimError(f"`{key}` is no text")
    return words_of(value, most=most)


_NAME = re.compile(r"lease-([A-Za-z0-9_-]{1,64})\.([0-9]{1,9})")
_GPU = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}")
_MOST_CPUS = 65_536
_MOST_CPU_IDS_CHARS = 1_024
_MOST_BYTES = 2**60
_MOST_SLOTS = 1_000_000
_MOST_GPUS = 256
_MOST_UPTIME_S = 100 * 365 * 86_400.0
_MOST_ATTEMPT = 999_999_999


def parse_leases(found: Marks | Unknown) -> tuple[Lease, ...] | Unknown:
    """The valid leases of all users; unknown if the locks are unknown."""
    if isinstance(found, Unknown):
        return found
    if isinstance(found.locks, Unknown):
        return found.locks if any(_NAME.fullmatch(mark.name) for mark in found.marks) else ()
    return tuple(_lease(mark) for mark, _ in _held(found))


def lease_holders(found: Marks | Unknown) -> Mapping[int, str]:
    """The name of each lease by the pid of its supervisor, as far as they are known."""
    if isinstance(found, Unknown):
        return {}
    return {lock.pid: _lease(mark).name for mark, lock in _held(found) if lock.pid > 1}


def _held(found: Marks) -> Iterator[tuple[Mark, Lock]]:
    locks = () if isinstance(found.locks, Unknown) else found.locks
    for mark in found.marks:
        if _NAME.fullmatch(mark.name) and (lock := lock_on(mark.inode, locks)) is not None:
            yield mark, lock


def _lease(mark: Mark) -> Lease:
    key, _, attempt = mark.name.removeprefix("lease-").rpartition(".")
    return Lease(
        key=key, attempt=whole(attempt, most=_MOST_ATTEMPT) or 0, uid=mark.uid, allocation=parse_allocation(mark.text)
    )


def parse_allocation(text: str) -> Allocation | Unknown:
    """The allocation that the owner of a lease claims."""
    try:
        claim = parse_claim(text)
        return Allocation(
            cpus=number(claim, "cpus", most=_MOST_CPUS),
            mem_bytes=whole_number(claim, "mem_bytes", most=_MOST_BYTES),
            gpus=_gpus(claim),
            gpu_share=_gpu_share(claim),
            slots=whole_number(claim, "slots", most=_MOST_SLOTS),
            exclusive=_exclusive(claim),
            uptime_s=number(claim, "uptime_s", most=_MOST_UPTIME_S),
            name=words(claim, "name"),
            tmp_bytes=whole_number(claim, "tmp_bytes", most=_MOST_BYTES) if "tmp_bytes" in claim else 0,
            limit_cpus=_limit(claim, "limit_cpus"),
            limit_mem_bytes=None if (size := _limit(claim, "limit_mem_bytes")) is None else int(size),
            cpu_ids=_cpu_ids(claim),
        )
    except NotAClaimError as error:
        return Unknown(reason=f"unreadable lease: {error}")


def _gpus(claim: Claim) -> tuple[str, ...]:
    uuids = claim.get("gpus")
    if not isinstance(uuids, list) or len(uuids) > _MOST_GPUS:
        raise NotAClaimError("`gpus` is no list of GPUs")
    if not all(isinstance(uuid, str) and _GPU.fullmatch(uuid) for uuid in uuids):
        raise NotAClaimError("`gpus` has something that is no GPU's UUID")
    return tuple(uuids)


def _gpu_share(claim: Claim) -> float:
    if "gpu_share" not in claim:
        return 1.0
    share = number(claim, "gpu_share", most=1)
    if not share:
        raise NotAClaimError("`gpu_share` is nothing")
    return share


def _limit(claim: Claim, key: str) -> float | None:
    return None if claim.get(key) is None else number(claim, key, most=_MOST_BYTES)


def _cpu_ids(claim: Claim) -> tuple[int, ...]:
    """The cpu ids, or none if they are malformed: the binding does not change the size of the allocation."""
    ids = words(claim, "cpu_ids", most=_MOST_CPU_IDS_CHARS) if "cpu_ids" in claim else ""
    return parse_cpulist(ids) or ()


def _exclusive(claim: Claim) -> bool:
    exclusive = claim.get("exclusive")
    if not isinstance(exclusive, bool):
        raise NotAClaimError("`exclusive` is neither true nor false")
    return exclusive


# -- `drain`: `{"v":1, "reason":"disk", "by":"alice", "at":1764000000, "until":null}`, seconds since the epoch
#
# `drain-KEY` has the same content; with the key `asked_at` it is a proposal.

_MOST_REASON = 200
_MOST_BY = 40
_MOST_S = 253_402_300_799.0  # the last second of the year 9999, where datetime ends


def parse_drains(found: Marks | Unknown) -> tuple[DrainMark, ...] | Unknown:
    """The drain marks of all users that are in force by the node's own clock.

    Our clock is never asked: a mark that the node enforces must not look ended here. Without the node's clock, none
    has ended.
    """
    if isinstance(found, Unknown):
        return found
    marks = (_drain(mark, _binds_all(mark.uid, found)) for mark in found.marks if mark.name.startswith("drain"))
    return tuple(mark for mark in marks if not _has_ended(mark, found.clock_s))


def may_drain_for_all(found: Marks | Unknown, uid: int | Unknown) -> bool | Unknown:
    """Whether our user's drain marks bind everybody. The list of administrators is told only beside drain marks."""
    if isinstance(found, Unknown):
        return found
    return uid if isinstance(uid, Unknown) else _binds_all(uid, found)


def _has_ended(mark: DrainMark, clock_s: int | None) -> bool:
    return mark.until is not None and clock_s is not None and mark.until.timestamp() <= clock_s


def _binds_all(uid: int, found: Marks) -> bool:
    """Whether its owner is root, or an administrator on root's list."""
    named = {line.lstrip("\ufeff").strip() for line in found.admins}
    return uid == 0 or (uid in found.names and found.names[uid] in named)


def _drain(mark: Mark, binds_all: bool) -> DrainMark:
    try:
        claim = parse_claim(mark.text)
        return DrainMark(
            uid=mark.uid,
            by=words(claim, "by", most=_MOST_BY),
            reason=words(claim, "reason", most=_MOST_REASON),
            at=_instant(claim, "at"),
            until=None if claim.get("until") is None else _instant(claim, "until"),
            binds_all=binds_all,
            proposal=_proposal(claim, mark.name),
        )
    except NotAClaimError:
        return DrainMark(uid=mark.uid, by="", reason="unreadable", at=None, until=None, binds_all=binds_all)


def _proposal(claim: Claim, name: str) -> Proposal | None:
    """The proposal of a mark, or None. Its key is part of the file name, which only the owner can choose."""
    _, _, key = name.partition("-")
    return Proposal(at=_instant(claim, "asked_at"), key=key) if key and claim.get("asked_at") is not None else None


def _instant(claim: Claim, key: str) -> datetime:
    return datetime.fromtimestamp(number(claim, key, most=_MOST_S), UTC)
