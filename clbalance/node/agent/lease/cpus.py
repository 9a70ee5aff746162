"""The choice of cpus that a job is bound to."""

import math
import os
import re

from clbalance.node.agent.lease.files import Lease
from clbalance.node.agent.protocol import MOST_CPU_IDS

MYPY = False
if MYPY:
    from typing import Iterable


def cpus_to_bind(limit_cpus: "float | None") -> int:
    """How many cpus a job with that limit is bound to. 0: not bound, since it has no limit or may use all cpus."""
    if limit_cpus is None:
        return 0
    count = max(1, math.ceil(limit_cpus))
    return count if count < len(os.sched_getaffinity(0)) else 0


def parse_cpulist(text: str) -> "list[int]":
    """The ids in `0-3,8`, as the kernel writes them. Empty if it is no such list, or has more ids than a node can."""
    found: "list[int]" = []
    for part in text.strip().split(","):
        range_of = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if range_of is None:
            return []
        first, last = int(range_of.group(1)), int(range_of.group(2) or range_of.group(1))
        if last - first + len(found) >= MOST_CPU_IDS:  # checked before the range is made
            return []
        found += range(first, last + 1)
    return sorted(set(found))


def cpulist_text(ids: "Iterable[int]") -> str:
    """The ids as text; the inverse of `parse_cpulist`."""
    runs: "list[list[int]]" = []
    for cpu in sorted(ids):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join("%d" % first if first == last else "%d-%d" % (first, last) for first, last in runs)


def memory_domains() -> "list[list[int]]":
    """The cpus of each NUMA node; empty if the kernel does not say."""
    folder = (os.environ.get("CLBALANCE_ROOTFS") or "") + "/sys/devices/system/node"
    try:
        names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"node[0-9]{1,4}", name))
        found = []
        for name in names:
            with open("%s/%s/cpulist" % (folder, name), "rb") as file:
                found.append(parse_cpulist(file.read(4096).decode("ascii", "replace")))
    except OSError:
        return []
    return found


def taken_cpus(leases: "list[Lease]") -> "dict[int, float]":
    """How much of each cpu is promised to jobs bound to it. A lease without cpus crowds them too, by 0.001."""
    taken: "dict[int, float]" = {}
    for fields in [lease.fields for lease in leases if lease.fields is not None]:
        ids = parse_cpulist(fields.get("cpu_ids", ""))
        for cpu in ids:
            taken[cpu] = taken.get(cpu, 0.0) + fields["cpus"] / len(ids) + 0.001
    return taken


def choose_cpus(
    count: int,
    allowed: "set[int]",
    domains: "list[list[int]]",
    taken: "dict[int, float]",
    near: "frozenset[int] | set[int]" = frozenset(),
) -> "list[int]":
    """Choose `count` of the `allowed` cpus, so that as little as possible is promised twice.

    Among equally good memory domains prefer one with cpus `near` the job's GPUs, then the one with the fewest free
    cpus, so that larger ones stay whole.
    """
    inside = [[cpu for cpu in domain if cpu in allowed] for domain in domains]
    free = [sum(not taken.get(cpu) for cpu in domain) for domain in inside]
    domain_of = {cpu: at for at, domain in enumerate(inside) for cpu in domain}

    def lightest(ids: "Iterable[int]") -> "list[int]":
        return sorted(ids, key=lambda cpu: (taken.get(cpu, 0.0), cpu))[:count]

    def load(ids: "list[int]") -> float:
        return sum(taken.get(cpu, 0.0) for cpu in ids)

    def spread(cpu: int) -> "tuple[float, int, int, int]":
        at = domain_of.get(cpu, len(inside))
        return taken.get(cpu, 0.0), -free[at] if at < len(inside) else 0, at, cpu

    anywhere = sorted(allowed, key=spread)[:count]
    within = [
        (near.isdisjoint(domain), free[at], lightest(domain))
        for at, domain in enumerate(inside)
        if len(domain) >= count
    ]
    as_good = [one for one in within if load(one[2]) <= load(anywhere) + 1e-9]
    return sorted(min(as_good)[2] if as_good else anywhere)
