"""What a job may use at most."""

import math
import os

from clbalance.node.agent.cpu_ids import parse_cpulist

MYPY = False
if MYPY:
    from typing import Any


class JobLimits:
    """As its lease says; None where there is no limit. `cpu_ids` are the cpus that it is to be bound to."""

    def __init__(self, promise: "dict[str, Any]") -> None:
        self.cpus: "float | None" = promise.get("limit_cpus")
        self.mem_bytes: "int | None" = promise.get("limit_mem_bytes")
        self.cpu_ids = parse_cpulist(promise.get("cpu_ids", ""))

    @property
    def cpus_are_whole(self) -> bool:
        return self.cpus is None or self.cpus == int(self.cpus)


def cpus_to_bind(limit_cpus: "float | None") -> int:
    """To how many a job with that limit is to be bound; 0: to none, for there are no more, or it has no limit."""
    if limit_cpus is None:
        return 0
    count = max(1, math.ceil(limit_cpus))
    return count if count < len(os.sched_getaffinity(0)) else 0
