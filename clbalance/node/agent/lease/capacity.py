"""The free capacity of a node: what a job asks for, what leases promise, what is measured, and the decision."""

import os

from clbalance.node.agent.fields import CAPACITY, WISH, Count, checked, is_a
from clbalance.node.agent.lease.files import Lease
from clbalance.node.agent.lease.users import owner_of_process, user_name
from clbalance.node.agent.protocol import NOISE_CPUS, TAU_S, MisfitError, RefusedError, shown

MYPY = False
if MYPY:
    from typing import Any, Callable


class Wish:
    """The resources that a job asks for, and the capacity configured by its client. May raise `RefusedError`."""

    def __init__(self, lease: "dict[str, Any]", capacity: "dict[str, Any]") -> None:
        try:
            asked = checked(lease, WISH, "lease")
            known = checked(capacity, CAPACITY, "capacity")
            visible = asked["gpu_visible"] or {}
            for gpu in [*asked["gpu_candidates"], *visible]:
                if not is_gpu(gpu):
                    raise MisfitError("lease: %.60r is no GPU's UUID" % (gpu,))
            for pids in visible.values():
                if not isinstance(pids, list) or not all(is_a(Count, pid) for pid in pids):
                    raise MisfitError("lease: `gpu_visible` needs a list of pids, not %.60r" % (pids,))
            whole = asked["gpu_share"] == 1
            if not whole and not (0 < asked["gpu_share"] < 1 and asked["gpu_count"] == 1):
                parts = asked["gpu_share"], asked["gpu_count"]
                raise MisfitError(
                    "lease: `gpu_share` is above 0 and at most 1, below 1 of one GPU; not %g of %d" % parts
                )
        except MisfitError as misfit:
            raise RefusedError("spec", str(misfit)) from None
        self.cpus = asked["cpus"]
        self.mem_bytes = asked["mem_bytes"]
        self.gpu_count = asked["gpu_count"]
        self.gpu_cpus = dict(zip(asked["gpu_candidates"], map(str, asked["gpu_cpus"])))  # noqa: B905 - 3.6
        self.gpu_candidates = list(dict.fromkeys(asked["gpu_candidates"]))
        self.gpu_share = asked["gpu_share"]
        self.gpu_visible = asked["gpu_visible"]
        self.slots = asked["slots"]
        self.exclusive = asked["exclusive"]
        self.name = asked["name"][:40]
        self.tmp_bytes = asked["tmp_bytes"]
        self.limit_cpus = asked["limit_cpus"]
        self.limit_mem_bytes = asked["limit_mem_bytes"]
        self.force = asked["force"]
        self.time_limit_s = asked["time_limit_s"]
        self.capacity_cpus = known["cpus"]
        self.capacity_slots = known["slots"]
        self.promised_at_most = known["promised_cpus"]

    @property
    def is_empty(self) -> bool:
        """Asks for no resources, so it fits on a full node. Slots alone do not count."""
        return not (self.cpus or self.mem_bytes or self.tmp_bytes or self.gpu_count or self.exclusive)


def is_gpu(name: object) -> bool:
    import re

    return isinstance(name, str) and bool(re.fullmatch(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}", name))


class Measured:
    """Load, uptime (s) and memory (bytes) of the node, measured now."""

    def __init__(self, cpus: int, r1m: float, uptime_s: float, mem_total: int, mem_available: int) -> None:
        self.cpus = cpus
        self.r1m = r1m
        self.uptime_s = uptime_s
        self.mem_total = mem_total
        self.mem_available = mem_available
        self.tmp_free = 0


def measure() -> Measured:
    """Measure the node. `RefusedError` if that fails: unknown load never counts as idle."""
    folder = os.environb.get(b"CLBALANCE_PROCFS") or b"/proc"
    texts = {}
    try:
        for name in (b"loadavg", b"uptime", b"stat", b"meminfo"):
            with open(folder + b"/" + name, "rb") as file:
                texts[name] = file.read()
        lines = [line.split() for line in texts[b"meminfo"].splitlines()]
        mem = {line[0]: int(line[1]) << 10 for line in lines if line[2:] == [b"kB"] and line[1].isdigit()}
        return Measured(
            cpus=sum(line[:3] == b"cpu" and line[3:4].isdigit() for line in texts[b"stat"].splitlines()),
            r1m=float(texts[b"loadavg"].split()[0]),
            uptime_s=float(texts[b"uptime"].split()[0]),
            mem_total=mem[b"MemTotal:"],
            mem_available=mem[b"MemAvailable:"],
        )
    except (OSError, ValueError, LookupError) as error:
        where = "load, uptime or memory is unknown: %s: %s" % (shown(folder), error)
        raise RefusedError("resources", where) from None


def measure_tmp() -> int:
    """Free bytes for temporary files, in the same folder as the probe measures. May hang; may raise `RefusedError`."""
    usual = "/tmp"  # noqa: S108 - nothing is put there
    folder = os.environ.get("TMPDIR") or usual
    try:
        facts = os.statvfs(folder if os.path.isdir(folder) else usual)
    except OSError as error:
        raise RefusedError("resources", "temporary space is unknown: %s" % os.strerror(error.errno or 0)) from None
    return facts.f_bavail * facts.f_frsize


class LackError(Exception):
    """The node has too little of a resource. `shares`: by uid, how much of it each owner holds."""

    def __init__(self, kind: str, what: str, shares: "dict[int, str]", cpus: "float | None" = None) -> None:
        super().__init__(what)
        self.cpus = cpus
        self.kind = kind
        self.what = what
        self.shares = shares

    def refusal(self) -> RefusedError:
        """The refusal with the owners' names. Their look-up may use the network: not to be called under the lock."""
        owners = ["%s %s" % (user_name(uid), share) for uid, share in sorted(self.shares.items())[:5]]
        rest = len(self.shares) - len(owners)
        leased = ", ".join(owners) + (" and %d more" % rest if rest else "")
        reason = "%s; leased: %s" % (self.what, leased) if leased else self.what
        return RefusedError(self.kind, reason, promised_cpus=self.cpus)


def shares_of(leases: "list[Lease]", on_change: "Callable[[list[Lease]], str]") -> "dict[int, str]":
    owned: "dict[int, list[Lease]]" = {}
    for lease in leases:
        owned.setdefault(lease.uid, []).append(lease)
    return {uid: on_change(some) for uid, some in owned.items()}


def promised(leases: "list[Lease]", field: str) -> float:
    return float(sum(lease.fields[field] for lease in leases if lease.fields is not None))


def visible(leases: "list[Lease]", field: str, uptime_s: float) -> float:
    """The part of a measured load that leases cause: an average with τ shows more of each as it gets older."""
    import math

    fields = [lease.fields for lease in leases if lease.fields is not None]
    ages_s = [max(0.0, uptime_s - each["uptime_s"]) for each in fields]
    return float(sum(each[field] * (1 - math.exp(-age_s / TAU_S)) for each, age_s in zip(fields, ages_s)))  # noqa: B905 - 3.6


def others_cpus(leases: "list[Lease]", node: Measured) -> float:
    """Cpus in use by processes without a lease."""
    return max(0.0, node.r1m - visible(leases, "cpus", node.uptime_s) - NOISE_CPUS)


def free_cpus(capacity: float, leases: "list[Lease]", node: Measured) -> float:
    return capacity - promised(leases, "cpus") - others_cpus(leases, node)


def free_mem(leases: "list[Lease]", node: Measured) -> float:
    used = node.mem_total - node.mem_available
    others = max(0.0, used - visible(leases, "mem_bytes", node.uptime_s))
    return min(node.mem_available, node.mem_total - promised(leases, "mem_bytes") - others)


def grant(wish: Wish, leases: "list[Lease]", node: Measured) -> "list[str]":
    """The GPUs for the job, if all of the request fits; else a `LackError`."""
    capacity = node.cpus if wish.capacity_cpus is None else wish.capacity_cpus
    check_exclusive(wish, leases, capacity, node.mem_total)
    if wish.is_empty:
        return []
    check_crowd(wish, leases)
    check_cpus(wish, leases, capacity, node)
    check_mem(wish, leases, node)
    check_tmp(wish, leases, node)
    gpus = free_gpus(wish, leases)
    check_slots(wish, leases)
    return gpus


def whole_node(lease: Lease, capacity: float, mem_total: int) -> str:
    """Why this lease takes the whole node; empty if it does not."""
    fields = lease.fields
    if fields is None:
        return lease.flaw
    if fields["exclusive"]:
        return "an exclusive lease"
    beyond = fields["cpus"] > capacity or fields["mem_bytes"] > mem_total
    return "a lease of more than the node has" if beyond else ""


def check_exclusive(wish: Wish, leases: "list[Lease]", capacity: float, mem_total: int) -> None:
    for lease in leases:
        reason = whole_node(lease, capacity, mem_total)
        if reason:
            raise LackError("exclusive", "the whole node is taken", {lease.uid: reason})
    if wish.exclusive and leases:
        shares = shares_of(leases, lambda some: "%d" % len(some))
        raise LackError("exclusive", "--exclusive needs an empty node, leases held: %d" % len(leases), shares)


def check_crowd(wish: Wish, leases: "list[Lease]") -> None:
    """Refuse if more cpus are promised by now than the client accepts: another node may be the better choice."""
    now, most = promised(leases, "cpus"), wish.promised_at_most
    if most is not None and now > most + 1e-9:
        raise LackError("crowded", "other jobs came first: cpus allocated: %g, expected: %g" % (now, most), {}, now)


def check_cpus(wish: Wish, leases: "list[Lease]", capacity: float, node: Measured) -> None:
    free = capacity - promised(leases, "cpus") if wish.force else free_cpus(capacity, leases, node)
    if not wish.cpus or wish.cpus <= free + 1e-9:  # rounding errors of the sum
        return
    sizes = (wish.cpus, max(0, free), capacity, others_cpus(leases, node))
    what = "cpus: %g requested, %.3g of %g free, %.3g in use besides leases" % sizes
    raise LackError("cpus", what, shares_of(leases, lambda some: "%g" % promised(some, "cpus")))


def check_mem(wish: Wish, leases: "list[Lease]", node: Measured) -> None:
    free = free_mem(leases, node)
    if not wish.mem_bytes or wish.mem_bytes <= free:
        return
    sizes = (gib(wish.mem_bytes), gib(max(0, free)), gib(node.mem_total), gib(node.mem_available))
    what = "memory: %s requested, %s of %s free, %s available now" % sizes
    raise LackError("memory", what, shares_of(leases, lambda some: gib(promised(some, "mem_bytes"))))


def check_tmp(wish: Wish, leases: "list[Lease]", node: Measured) -> None:
    if not wish.tmp_bytes:
        return
    free = node.tmp_free - promised(leases, "tmp_bytes")
    if wish.tmp_bytes > free:
        what = "temporary space: %s requested, %s free" % (gib(wish.tmp_bytes), gib(max(0, free)))
        raise LackError("tmp", what, shares_of(leases, lambda some: gib(promised(some, "tmp_bytes"))))


def gib(size: float) -> str:
    return "%.3g GiB" % (size / 2**30)


def held_gpus(leases: "list[Lease]") -> "dict[str, float]":
    """How much of each device is promised."""
    held: "dict[str, float]" = {}
    for fields in [lease.fields for lease in leases if lease.fields is not None]:
        for gpu in fields["gpus"]:
            held[gpu] = held.get(gpu, 0.0) + fields["gpu_share"]
    return held


def free_gpus(wish: Wish, leases: "list[Lease]") -> "list[str]":
    """The first candidates with room, in the order that the client measured. Shares go to the fullest device."""
    held = held_gpus(leases)
    room = 1 + 1e-9 - wish.gpu_share  # three thirds are a whole
    free = [gpu for gpu in wish.gpu_candidates if held.get(gpu, 0.0) <= room]
    if wish.gpu_count <= len(free):
        return sorted(free, key=lambda gpu: -held.get(gpu, 0.0))[: wish.gpu_count]
    what = "GPUs: %d requested, %d of %d candidates free" % (wish.gpu_count, len(free), len(wish.gpu_candidates))
    if wish.gpu_share < 1:
        what = "GPUs: %g of one requested, free on none of %d candidates" % (
            wish.gpu_share,
            len(wish.gpu_candidates),
        )
    holding = [lease for lease in leases if lease.fields is not None and lease.fields["gpus"]]
    raise LackError("gpus", what, shares_of(holding, lambda some: "%g" % round(sum(held_gpus(some).values()), 3)))


def visible_gpus(wish: Wish, leases: "list[Lease]") -> "dict[str, bool] | None":
    """Whether a job without GPUs sees each of them: no job has leased it, no other user runs one of those processes.

    Process 0 stands for others. None: the job's view is not restricted.
    """
    if wish.gpu_visible is None:
        return None
    me, held = os.geteuid(), held_gpus(leases)
    seen = wish.gpu_visible.items()
    return {gpu: gpu not in held and all(owner_of_process(pid) == me for pid in pids) for gpu, pids in seen}


def check_slots(wish: Wish, leases: "list[Lease]") -> None:
    if wish.capacity_slots is None or not wish.slots:
        return
    free = wish.capacity_slots - promised(leases, "slots")
    if wish.slots > free:
        what = "slots: %d requested, %d of %d free" % (wish.slots, max(0, free), wish.capacity_slots)
        raise LackError("slots", what, shares_of(leases, lambda some: "%d" % promised(some, "slots")))
