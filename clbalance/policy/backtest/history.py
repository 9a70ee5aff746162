"""The recorded history, and the replay of it by one policy."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Snapshot
from clbalance.model.trace import Trace
from clbalance.policy.backtest.days import DAY_S, backtest_of
from clbalance.policy.backtest.values import Backtest, Subject
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.policies import policy_named
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.processors import Processors
from clbalance.policy.queue.queues import job_queue_named
from clbalance.policy.queue.replay import replay


@dataclass(frozen=True, kw_only=True)
class History:
    """Jobs, and the nodes on which they are replayed. `until_s`: its end, on the clock of the trace."""

    cluster: Snapshot | Processors
    trace: Trace
    until_s: float

    @cached_property
    def workload(self) -> Workload:
        """The mix of all jobs."""
        return Workload.of(arrival.request for arrival in self.trace.arrivals)

    @property
    def days(self) -> int:
        """The days from its first job to its end."""
        first = next(iter(self.trace.arrivals), None)
        return 0 if first is None else int((self.until_s - first.submit_s) // DAY_S) + 1

    def newest(self, days: int) -> "History":
        """The part of it that began at most `days` days before its end."""
        since_s = self.until_s - days * DAY_S
        arrivals = tuple(arrival for arrival in self.trace.arrivals if arrival.submit_s > since_s)
        return replace(self, trace=replace(self.trace, arrivals=arrivals))


def backtest(
    history: History,
    subject: Subject,
    name: str,
    *,
    other: str,
    rng: Rng,
    heard: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """The replay of the history by the policy of that name. `other`: the policy of the other subject.

    `heard`: as in `replay`.
    """
    queue, placement = (name, other) if subject == "queue" else (other, name)
    policy = policy_named(placement, workload=history.workload)
    run = replay(history.cluster, history.trace, policy, rng, queue=job_queue_named(queue), heard=heard)
    return backtest_of(name, history.trace, run.starts_s, history.until_s)
