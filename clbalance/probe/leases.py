"""`lease-KEY.ATTEMPT`: `{"v":1, "cpus":2.0, "mem_bytes":0, "gpus":[], "slots":1, "exclusive":false, …}`.

Only a lease that is locked for writing counts; what it promises and cannot be read is the whole node.
"""

import re

from clbalance.model import Lease, Promise, Unknown
from clbalance.probe.bounded import whole
from clbalance.probe.claim import Claim, NotAClaimError, number, parse_claim, whole_number, words
from clbalance.probe.cpus import parse_cpulist
from clbalance.probe.locks import is_locked
from clbalance.probe.marks import Mark, Marks

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
    """The leases that are held, whoever's; unknown where that cannot be told."""
    if isinstance(found, Unknown):
        return found
    leases = [mark for mark in found.marks if _NAME.fullmatch(mark.name)]
    if leases and isinstance(found.locked, Unknown):
        return found.locked
    locked = () if isinstance(found.locked, Unknown) else found.locked
    return tuple(_lease(mark) for mark in leases if is_locked(mark.inode, locked))


def _lease(mark: Mark) -> Lease:
    key, _, attempt = mark.name.removeprefix("lease-").rpartition(".")
    return Lease(
        key=key, attempt=whole(attempt, most=_MOST_ATTEMPT) or 0, uid=mark.uid, promise=parse_promise(mark.text)
    )


def parse_promise(text: str) -> Promise | Unknown:
    """What the owner of a lease says that it takes."""
    try:
        claim = parse_claim(text)
        return Promise(
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
        return Unknown(why=f"unreadable lease: {error}")


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
    """None where they make no sense: which cpus somebody is bound to takes nothing from what he was promised."""
    ids = words(claim, "cpu_ids", most=_MOST_CPU_IDS_CHARS) if "cpu_ids" in claim else ""
    return parse_cpulist(ids) or ()


def _exclusive(claim: Claim) -> bool:
    exclusive = claim.get("exclusive")
    if not isinstance(exclusive, bool):
        raise NotAClaimError("`exclusive` is neither true nor false")
    return exclusive
