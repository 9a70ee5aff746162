"""Waiting lists as a count of processors, written apart from ours: what must come out on nodes of one cpu.

Checked against the published figures of KTH-SP2 (docs/design/replay.md): EASY 92.57, EASY-SJBF 69.4054.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clbalance.model import Measured, NodeName
from clbalance.trace.nodes import idle_node


@dataclass(frozen=True)
class Job:
    number: int
    submit: int
    run: int
    procs: int
    estimate: int


Order = Callable[[Job, int], tuple[float, ...]]
Pick = Callable[[list[Job], list[tuple[int, int]], int, int], list[Job]]


def shortest(job: Job, now: int) -> tuple[float, ...]:
    return job.estimate, job.submit, job.number


def most_points(job: Job, now: int) -> tuple[float, ...]:
    return -(now - job.submit) / max(job.estimate, 10), job.submit, job.number


def strict(waiting: list[Job], running: list[tuple[int, int]], free: int, now: int) -> list[Job]:
    """First come, first served."""
    started: list[Job] = []
    for job in waiting:
        if job.procs > free:
            break
        free -= job.procs
        started.append(job)
    return started


def backfilling(order: Order | None = None, behind: Order | None = None) -> Pick:
    def pick(waiting: list[Job], running: list[tuple[int, int]], free: int, now: int) -> list[Job]:
        queue = list(waiting) if order is None else sorted(waiting, key=lambda job: order(job, now))
        started: list[Job] = []
        while queue and queue[0].procs <= free:
            free -= queue[0].procs
            started.append(queue.pop(0))
        if not queue:
            return started
        ends = sorted([*running, *((now + job.estimate, job.procs) for job in started)])
        shadow = next(at for at, _ in ends if free + sum(procs for end, procs in ends if end <= at) >= queue[0].procs)
        extra = free + sum(procs for end, procs in ends if end <= shadow) - queue[0].procs
        rest = queue[1:] if behind is None else sorted(queue[1:], key=lambda job: behind(job, now))
        for job in rest:
            if job.procs > free:
                continue
            if now + job.estimate > shadow:
                if job.procs > extra:
                    continue
                extra -= job.procs
            free -= job.procs
            started.append(job)
        return started

    return pick


PICKS: dict[str, Pick] = {
    "fcfs": strict,
    "sjf": backfilling(order=shortest),
    "priority": backfilling(order=most_points),
    "easy": backfilling(),
    "easy-sjbf": backfilling(behind=shortest),
}


def starts(jobs: Sequence[Job], processors: int, pick: Pick) -> dict[int, int]:
    """When each is started; what arrives at an instant is on the list before what ends then is given out."""
    events = [(job.submit, 0, job.number, job) for job in jobs]
    heapq.heapify(events)
    waiting: list[Job] = []
    running: dict[int, tuple[int, int]] = {}
    found: dict[int, int] = {}
    free = processors
    while events:
        now, is_end, _, job = heapq.heappop(events)
        if is_end:
            del running[job.number]
            free += job.procs
        else:
            waiting.append(job)
        for one in pick(waiting, list(running.values()), free, now):
            waiting.remove(one)
            free -= one.procs
            running[one.number] = now + one.estimate, one.procs
            found[one.number] = now
            heapq.heappush(events, (now + one.run, 1, len(found), one))
    return found


def nodes_of_one_cpu(count: int) -> tuple[Measured, ...]:
    """The same machine as nodes that jobs are placed on."""
    return tuple(idle_node(NodeName(f"p{number:03}"), cpus=1, mem_bytes=1 << 30) for number in range(count))
