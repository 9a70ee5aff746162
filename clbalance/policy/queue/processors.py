"""A machine of equal processors, as a log of the Standard Workload Format describes it: a count, not a node each.

A job takes one processor for each of its copies, and it does not matter which. So replays take the time of the jobs,
whatever the size of the machine, and every policy gives the same result.
"""

from typing import Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """An empty machine of `count` processors."""

    count: int


@dataclass(slots=True)
class FreeProcessors:
    """The `FreeCapacity` of such a machine; what a job holds is a number of processors."""

    count: int

    def place(self, request: Request) -> int | None:
        wanted = request.pick or 1
        if wanted > self.count:
            return None
        self.count -= wanted
        return wanted

    def fits(self, request: Request) -> bool:
        return (request.pick or 1) <= self.count

    def release(self, held: int) -> None:
        self.count += held

    def hold(self, held: int) -> None:
        self.count -= held

    def copy(self) -> Self:
        return type(self)(self.count)


class ProcessorUse:
    """The `Use` of such a machine, for the figures of a replay."""

    gpus = 0.0
    all_gpus = 0

    def __init__(self, count: int) -> None:
        self.cpus, self.all_cpus = 0, count

    def took(self, held: int, sign: int) -> None:
        self.cpus += sign * held

    @property
    def mean_load(self) -> float:
        return self.cpus / self.all_cpus

    @property
    def largest_load(self) -> float:
        return 1.0 if self.cpus else 0.0
