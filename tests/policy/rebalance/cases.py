"""A case language for plans: nodes with jobs of ours on them, what comes of a plan, and what would be best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clbalance.model import Allocation, DrainMark, Gpu, Lease, Measured, NodeName, Qos, Request, Snapshot
from clbalance.model.slurm import SlurmNode
from clbalance.policy.placement.policies import LEAST, Policy
from clbalance.policy.rebalance.levels import over_nodes
from clbalance.policy.rebalance.plan import plan_migrations
from clbalance.policy.rebalance.values import BalanceSettings, Departure, PlannedMigration, RebalancePlan, RunningJob
from tests.policy.build import ME, NOW, UPTIME_S, node

EVERYTHING = BalanceSettings(deviation=0.0, min_gain=0.0, max_moves=1000, confirm=1, cooldown_s=0.0, guaranteed=True)
OLD_S = 6000.0
"""The age of leases in cases: all that they use shows in r1m."""


def a_job(
    number: int,
    on: str,
    cpus: float = 1.0,
    *,
    used: float | None = None,
    qos: Qos | None = None,
    earlier_nodes: frozenset[str] = frozenset(),
    migrated_s_ago: float | None = None,
    not_committed: frozenset[str] = frozenset(),
    missed_checkpoint: bool = False,
    why_not_migratable: str = "",
    request: Request | None = None,
) -> RunningJob:
    asked, others = request or Request(cpus=cpus), frozenset(map(NodeName, not_committed))
    return RunningJob(
        job=number,
        name=f"j{number}",
        node=NodeName(on),
        request=replace(asked, name=f"j{number}", excluded=asked.excluded | others),
        cpus_used=used,
        qos=qos or (Qos.BURSTABLE if cpus else Qos.BEST_EFFORT),
        earlier_nodes=frozenset(NodeName(name) for name in earlier_nodes),
        migrated_s_ago=migrated_s_ago,
        not_committed=others,
        missed_checkpoint=missed_checkpoint,
        why_not_migratable=why_not_migratable,
        key=f"key{number}",
    )


def takes(job: RunningJob) -> float:
    return max(job.request.cpus, job.cpus_used or 0.0)


def lease_of(job: RunningJob, *, uptime_s: float = UPTIME_S - OLD_S) -> Lease:
    asked = job.request
    allocation = Allocation(
        cpus=asked.cpus,
        mem_bytes=asked.mem_bytes,
        slots=asked.slots,
        exclusive=asked.exclusive,
        name=job.name,
        uptime_s=uptime_s,
    )
    return Lease(key=job.key, attempt=1, uid=ME, allocation=allocation)


def a_node(
    name: str,
    jobs: Sequence[RunningJob] = (),
    *,
    cpus: int = 4,
    foreign: float = 0.0,
    factor: float = 1.0,
    leases: Sequence[Lease] = (),
    drains: tuple[DrainMark, ...] = (),
    gpus: tuple[Gpu, ...] = (),
    mem: float = 90.0,
    slurm: SlurmNode | None = None,
) -> Measured:
    """With those of the jobs that are there, old enough for r1m to show all that they use, and `foreign` beside them."""
    here = [job for job in jobs if job.node == name]
    shown = sum(takes(job) for job in here) + foreign
    shown += sum(
        one.allocation.cpus for one in leases if isinstance(one.allocation, Allocation) and _is_old(one.allocation)
    )
    answer = node(
        name,
        r1m=shown,
        cpus=cpus,
        factor=factor,
        leases=(*(lease_of(job) for job in here), *leases),
        drains=drains,
        gpus=gpus,
        mem=mem,
    )
    return replace(answer, slurm=slurm)


def _is_old(allocation: Allocation) -> bool:
    return allocation.uptime_s <= UPTIME_S - OLD_S


def planned(
    snapshot: Snapshot,
    jobs: Sequence[RunningJob],
    settings: BalanceSettings = EVERYTHING,
    *,
    departures: Sequence[Departure] = (),
    times_over: Mapping[str, int] | None = None,
    policy: Policy = LEAST,
) -> RebalancePlan:
    """Without `times_over`: every node was over for long."""
    times = {answer.node: 99 for answer in snapshot.answers}
    if times_over is not None:
        times = {NodeName(name): count for name, count in times_over.items()}
    return plan_migrations(snapshot, jobs, departures, times, settings, policy, NOW, ME)


def over(
    snapshot: Snapshot, settings: BalanceSettings = EVERYTHING, departures: Sequence[Departure] = ()
) -> frozenset[NodeName]:
    return over_nodes(snapshot, departures, settings, LEAST, NOW)


def moved(jobs: Sequence[RunningJob], moves: Sequence[PlannedMigration]) -> list[RunningJob]:
    """The jobs where the plan wants them, as the next run finds them."""
    dst = {move.job: move.dst for move in moves}
    return [
        replace(job, node=dst[job.job], earlier_nodes=job.earlier_nodes | {job.node}, migrated_s_ago=60.0)
        if job.job in dst
        else job
        for job in jobs
    ]


@dataclass(frozen=True)
class Cluster:
    """Nodes of which everything is known: they can be measured, and measured again after moves."""

    cpus: Mapping[str, int]
    jobs: tuple[RunningJob, ...]
    foreign: Mapping[str, float] = field(default_factory=dict)
    factor: Mapping[str, float] = field(default_factory=dict)

    def swept(self) -> Snapshot:
        return Snapshot(
            taken_at=NOW,
            answers=tuple(
                a_node(
                    name,
                    self.jobs,
                    cpus=cpus,
                    foreign=self.foreign.get(name, 0.0),
                    factor=self.factor.get(name, 1.0),
                )
                for name, cpus in self.cpus.items()
            ),
        )

    def after(self, moves: Sequence[PlannedMigration]) -> "Cluster":
        return replace(self, jobs=tuple(moved(self.jobs, moves)))

    def level(self, name: str, jobs: Sequence[RunningJob] | None = None) -> float:
        here = [job for job in (self.jobs if jobs is None else jobs) if job.node == name]
        used = self.foreign.get(name, 0.0) + sum(takes(job) for job in here)
        return used / (self.cpus[name] * self.factor.get(name, 1.0))

    def largest(self) -> float:
        return max(self.level(name) for name in self.cpus)

    def best(self) -> float:
        """The least largest level of all that can be reached, each job going once at most, by trying everything.

        Not where the score would rise, as it may where nodes are of several sizes.
        """
        names, jobs = list(self.cpus), [job for job in self.jobs if not job.why_not_migratable]
        start = tuple(names.index(job.node) for job in jobs)
        seen, waiting, best = {start}, [start], self.largest()
        while waiting:
            places = waiting.pop()
            here = [replace(job, node=NodeName(names[place])) for job, place in zip(jobs, places, strict=True)]
            all_jobs = [*here, *(job for job in self.jobs if job.why_not_migratable)]
            if self.squares(all_jobs) < self.squares(self.jobs):
                best = min(best, max(self.level(name, all_jobs) for name in names))
            for at, place in enumerate(places):
                if place == start[at]:
                    for to, name in enumerate(names):
                        then = (*places[:at], to, *places[at + 1 :])
                        if (
                            then not in seen
                            and name not in jobs[at].earlier_nodes
                            and self._holds(name, all_jobs, jobs[at])
                        ):
                            seen.add(then)
                            waiting.append(then)
        return best

    def squares(self, jobs: Sequence[RunningJob]) -> float:
        """Rises and falls with the score."""
        return sum(self.level(name, jobs) ** 2 * cpus * self.factor.get(name, 1.0) for name, cpus in self.cpus.items())

    def _holds(self, name: str, jobs: Sequence[RunningJob], job: RunningJob) -> bool:
        """By the formula of admission, of which docs/design/leases.md tells."""
        promised = sum(one.request.cpus for one in jobs if one.node == name)
        return not job.request.cpus or (
            job.request.cpus + promised + max(0.0, self.unpromised(name, jobs) - 0.5) <= self.cpus[name] + 1e-9
        )

    def unpromised(self, name: str, jobs: Sequence[RunningJob]) -> float:
        above = sum(takes(one) - one.request.cpus for one in jobs if one.node == name)
        return self.foreign.get(name, 0.0) + above
