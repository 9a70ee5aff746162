"""A plain event simulator of a log in the Standard Workload Format: EASY backfilling on a count of processors.

Written apart from `replay`, with its conventions (docs/design/replay.md): one decision for each event, arrivals before
ends of the same time. Prints the figures as JSON.
"""

import heapq
import json
import sys
from bisect import insort
from collections.abc import Iterable
from typing import NamedTuple


class Job(NamedTuple):
    submit_s: float
    run_s: float
    processors: int
    estimate_s: float


def read(lines: Iterable[str]) -> tuple[int, list[Job]]:
    """The number of processors, and the jobs that ran, by submit time."""
    processors, jobs = 0, list[Job]()
    for line in lines:
        if line.startswith(";"):
            if "MaxProcs:" in line and not processors:
                processors = int(line.split(":")[1].split()[0])
            continue
        fields = line.split()
        if not fields:
            continue
        submit_s, run_s, asked_s = float(fields[1]), float(fields[3]), float(fields[8])
        wanted = int(fields[7]) if int(fields[7]) > 0 else int(fields[4])
        if run_s > 0 and submit_s >= 0 and wanted > 0:
            estimate_s = asked_s if asked_s > 0 else run_s
            jobs.append(Job(submit_s, min(run_s, estimate_s), wanted, estimate_s))
    return processors, sorted(jobs, key=lambda job: job.submit_s)


class Simulation:
    """`starts_s`: when each job started, by its position."""

    def __init__(self, processors: int, jobs: list[Job]) -> None:
        self.all, self.free, self.jobs = processors, processors, jobs
        self.starts_s: dict[int, float] = {}
        self.queue: list[int] = []
        self.ends: list[tuple[float, int, int]] = []
        self.expected: list[tuple[float, int]] = []

    def run(self) -> None:
        arrived, jobs = 0, self.jobs
        while arrived < len(jobs) or self.ends:
            if arrived < len(jobs) and (not self.ends or jobs[arrived].submit_s <= self.ends[0][0]):
                now_s = jobs[arrived].submit_s
                if jobs[arrived].processors <= self.all:
                    self.queue.append(arrived)
                arrived += 1
            else:
                now_s, _, at = heapq.heappop(self.ends)
                self.free += jobs[at].processors
                self.expected.remove((self.starts_s[at] + jobs[at].estimate_s, jobs[at].processors))
            self.decide(now_s)

    def decide(self, now_s: float) -> None:
        queue, jobs = self.queue, self.jobs
        while queue and jobs[queue[0]].processors <= self.free:
            self.start(queue.pop(0), now_s)
        small = [at for at in queue[1:] if jobs[at].processors <= self.free]
        if not small:
            return
        left, shadow_s = self.free - jobs[queue[0]].processors, 0.0
        for end_s, processors in self.expected:
            if left >= 0 and end_s > shadow_s:
                break
            left, shadow_s = left + processors, end_s
        for at in small:
            job = jobs[at]
            if job.processors > self.free or (now_s + job.estimate_s > shadow_s and job.processors > left):
                continue
            if now_s + job.estimate_s > shadow_s:
                left -= job.processors
            self.start(at, now_s)
        self.queue = [at for at in queue if at not in self.starts_s]

    def start(self, at: int, now_s: float) -> None:
        job = self.jobs[at]
        self.free -= job.processors
        self.starts_s[at] = now_s
        heapq.heappush(self.ends, (now_s + job.run_s, len(self.starts_s), at))
        insort(self.expected, (now_s + job.estimate_s, job.processors))

    def figures(self) -> dict[str, float]:
        """By the names that `replay` has."""
        started = [(self.jobs[at], start_s) for at, start_s in self.starts_s.items()]
        waits_s = [start_s - job.submit_s for job, start_s in started]
        slowdowns = [
            max(1.0, (wait_s + job.run_s) / max(job.run_s, 10.0))
            for (job, _), wait_s in zip(started, waits_s, strict=True)
        ]
        busy_s = sum(job.run_s * job.processors for job, _ in started)
        span_s = max(start_s + job.run_s for job, start_s in started) - self.jobs[0].submit_s
        return {
            "placed": len(started),
            "wait_mean_s": sum(waits_s) / len(waits_s),
            "bounded_slowdown_mean": sum(slowdowns) / len(slowdowns),
            "bounded_slowdown_max": max(slowdowns),
            "cpu_allocated_pct": 100.0 * busy_s / (span_s * self.all),
        }


def simulated(lines: Iterable[str]) -> dict[str, float]:
    simulation = Simulation(*read(lines))
    simulation.run()
    return simulation.figures()


if __name__ == "__main__":
    with open(sys.argv[1], errors="replace") as log:
        sys.stdout.write(json.dumps(simulated(log)) + "\n")
