"""Replay of a trace by a policy: arrivals and ends one after another, on nodes that begin empty. Pure.

Time is the trace's own. Each arrival and each end is handled by itself, as by a scheduler that gets one event at a
time. At one instant ends come before arrivals; but with a queue, arriving jobs are queued before the resources of
ending jobs are given out (docs/design/replay.md).
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Generic

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request, Snapshot
from clbalance.model.trace import Arrival, Trace
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.cluster_state import ClusterState, ReplayCapacity
from clbalance.policy.queue.processors import FreeProcessors, Processors, ProcessorUse
from clbalance.policy.queue.queues import FreeCapacity, Held, JobQueue, PlannedStart, QueuedJob, Running
from clbalance.policy.queue.replay_metrics import Figures, Meter, NodeUse, Use, WaitTimes, percentile

_NO_THRESHOLDS = Thresholds(r1m_per_cpu=None, mem_available_pct=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """The start of each job, by its position in the trace, and the figures."""

    starts_s: dict[int, float]
    figures: Figures


def replay(
    cluster: Snapshot | Processors,
    trace: Trace,
    policy: Policy,
    rng: Rng,
    *,
    queue: JobQueue | None = None,
    heard: Callable[[int], None] = lambda _: None,
) -> ReplayRun:
    """Replay the trace by `policy` on empty nodes, or on a machine of equal processors.

    Without a queue a job that does not fit is refused.

    `heard` is called after each arrival and each end of a job, with the number of arrivals so far. Thresholds are
    ignored: a trace has no measured load.
    """
    if isinstance(cluster, Processors):
        return _Run(FreeProcessors(cluster.count), ProcessorUse(cluster.count), trace, queue, heard).whole()
    state = ClusterState(cluster, replace(policy, thresholds=_NO_THRESHOLDS), cluster.taken_at)
    capacity = ReplayCapacity(state=state, rng=rng, copies_share_nodes=trace.copies_share_nodes)
    return _Run(capacity, NodeUse(cluster.answers), trace, queue, heard).whole()


class _Run(Generic[Held]):
    """The state of a replay."""

    def __init__(
        self,
        capacity: FreeCapacity[Held],
        use: Use[Held],
        trace: Trace,
        queue: JobQueue | None,
        heard: Callable[[int], None],
    ) -> None:
        self._trace, self._list, self._heard = trace, queue, heard
        self._arrived = 0
        self._capacity, self._empty = capacity, capacity.copy()
        self._ever_fits: dict[Request, bool] = {}
        self._meter = Meter(
            use,
            trace.arrivals[0].submit_s if trace.arrivals else 0.0,
            over_time=any(arrival.duration_s is not None for arrival in trace.arrivals),
        )
        self._ends: list[tuple[float, int, int]] = []
        self._running: dict[int, Running[Held]] = {}
        self._waiting: dict[int, QueuedJob] = {}
        self._starts_s: dict[int, float] = {}
        self._waits = WaitTimes()
        self._gpu_pct_at_refusal: float | None = None
        self._refused = 0

    def whole(self) -> ReplayRun:
        """The replay of the whole trace."""
        for place, arrival in enumerate(self._trace.arrivals):
            self.end_until(arrival.submit_s, that_too=self._list is None)
            self.arrive(place, arrival)
            self._arrived += 1
            self._heard(self._arrived)
        self.end_until(math.inf)
        return self.result()

    def arrive(self, place: int, arrival: Arrival) -> None:
        now_s = arrival.submit_s
        self._meter.passed(now_s)
        if self._list is None:
            held = self._capacity.place(arrival.request)
            if held is None:
                self._refuse()
            else:
                self._start(place, held, now_s)
        elif not self._can_ever_fit(arrival.request):
            self._refuse()
        else:
            self._waiting[place] = QueuedJob(
                key=place,
                request=arrival.request,
                since_s=now_s,
                estimate_s=arrival.estimate_s,
                priority=arrival.priority,
            )
            self._start_waiting(now_s)

    def end_until(self, now_s: float, *, that_too: bool = True) -> None:
        """Handle all ends before `now_s`, and with `that_too` those at `now_s`, one after another."""
        while self._ends and (self._ends[0][0] < now_s or (that_too and self._ends[0][0] == now_s)):
            at_s, _, place = heapq.heappop(self._ends)
            self._meter.passed(at_s)
            held = self._running.pop(place).held
            self._capacity.release(held)
            self._meter.took(held, -1)
            self._start_waiting(at_s)
            self._heard(self._arrived)

    def result(self) -> ReplayRun:
        """The result; jobs that still wait after the last end count as refused."""
        for _ in self._waiting:
            self._refuse()
        gpu_pct, cpu_pct, max_over_mean = self._meter.allocated()
        waits_s, slowdowns = self._waits.waits_s, self._waits.slowdowns
        figures = Figures(
            placed=len(self._starts_s),
            refused=self._refused,
            gpu_allocated_pct=gpu_pct,
            cpu_allocated_pct=cpu_pct,
            gpu_allocated_at_first_refusal_pct=self._gpu_pct_at_refusal,
            wait_mean_s=math.fsum(waits_s) / len(waits_s) if waits_s else None,
            wait_p95_s=percentile(waits_s, 95.0),
            bounded_slowdown_mean=math.fsum(slowdowns) / len(slowdowns) if slowdowns else None,
            bounded_slowdown_max=max(slowdowns, default=None),
            max_over_mean=max_over_mean,
        )
        return ReplayRun(starts_s=self._starts_s, figures=figures)

    def _can_ever_fit(self, request: Request) -> bool:
        found = self._ever_fits.get(request)
        if found is None:
            found = self._ever_fits[request] = self._empty.fits(request)
        return found

    def _start_waiting(self, now_s: float) -> None:
        if self._list is None or not self._waiting:
            return
        queued = tuple(self._waiting.values())
        started: list[PlannedStart[Held]] = self._list.to_start(queued, self._running.values(), self._capacity, now_s)
        for start in started:
            del self._waiting[start.job.key]
            self._start(start.job.key, start.held, now_s)

    def _start(self, place: int, held: Held, now_s: float) -> None:
        arrival = self._trace.arrivals[place]
        self._meter.took(held)
        self._starts_s[place] = now_s
        self._waits.started(now_s - arrival.submit_s, arrival.duration_s)
        expected_s = math.inf if arrival.estimate_s is None else now_s + arrival.estimate_s
        self._running[place] = Running(held, expected_s)
        if arrival.duration_s is not None:
            # Jobs with the same end end in the order of their starts.
            heapq.heappush(self._ends, (now_s + arrival.duration_s, len(self._starts_s), place))

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused == 1:
            self._gpu_pct_at_refusal = self._meter.gpu_pct()
