"""A report on a period, from the accounts of its nodes and jobs. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.report import (
    GroupUse,
    Held,
    JobUse,
    LoadRow,
    NodesUse,
    Part,
    Period,
    PeriodReport,
    UserUse,
)
from clbalance.policy.report.jobs import JobsAccount
from clbalance.policy.report.nodes import LeaseTime, NodeAccount
from clbalance.policy.report.prices import PriceTable

WASTERS: Final = 5
MOST_USERS: Final = 20
MOST_ROWS: Final = 60
"""Rows of the picture of load; with more nodes, several share a row."""
_WORTH_TELLING_S: Final = 36.0  # a hundredth of an hour
_KEY_DIGITS: Final = 12  # as `load --jobs` shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a report needs beside accounts."""

    prices: PriceTable
    user_name: Callable[[int], str]
    fold: Callable[[Iterable[NodeName]], str]
    own_keys: frozenset[str]
    """Keys of all jobs of the journal: their leases are not counted beside them."""


def report_of(
    period: Period,
    accounts: Mapping[NodeName, NodeAccount],
    groups: Sequence[tuple[str, Sequence[NodeName]]],
    jobs: JobsAccount,
    around: Surroundings,
) -> PeriodReport:
    """The report. `groups`: names with their nodes, all of which have accounts."""
    used = [*_own_jobs(jobs, accounts), *_foreign_jobs(accounts, around)]
    users = _users(used, around.prices)
    priced = {node: _priced(node, account.use, around.prices) for node, account in accounts.items()}
    total = reduce(add, priced.values(), NodesUse())
    return PeriodReport(
        period=period,
        total=total,
        groups=tuple(_group(name, nodes, accounts, priced) for name, nodes in groups),
        users=tuple(users[:MOST_USERS]),
        more_users=max(0, len(users) - MOST_USERS),
        ended=jobs.ended,
        active=jobs.active,
        restarts=jobs.restarts,
        waits=jobs.waits,
        wasters=wasters(used, cpus_per_gpu(total)),
        load=_load(list(accounts.values()), around.fold),
        cpu_by_time=_over_time([one.cpu for one in accounts.values()]),
        gpu_by_time=_over_time([one.gpu for one in accounts.values()]),
        currency=around.prices.currency,
    )


def _priced(node: NodeName, use: NodesUse, prices: PriceTable) -> NodesUse:
    held = Held(node=node, cpu_s=use.cpu_allocated.amount, gpu_s=use.gpu_allocated.amount)
    return replace(use, cost=prices.cost_of([held]))


def _group(
    name: str,
    nodes: Sequence[NodeName],
    accounts: Mapping[NodeName, NodeAccount],
    priced: Mapping[NodeName, NodesUse],
) -> GroupUse:
    chosen = [accounts[node] for node in nodes]
    return GroupUse(
        name=name,
        use=reduce(add, (priced[node] for node in nodes), NodesUse()),
        cpu_by_time=_over_time([one.cpu for one in chosen]),
        gpu_by_time=_over_time([one.gpu for one in chosen]),
    )


def _over_time(rows: Sequence[Sequence[Part]]) -> tuple[float | None, ...]:
    """The sum of the rows in each column, in per cent."""
    return tuple(reduce(add, column, Part()).pct for column in zip(*rows, strict=True))


# -- jobs and users


def _own_jobs(jobs: JobsAccount, accounts: Mapping[NodeName, NodeAccount]) -> list[JobUse]:
    """The jobs of the journal, with the use of their GPUs from the history of leases."""
    by_key: dict[str, LeaseTime] = {}
    for account in accounts.values():
        for (_, key), time in account.leases.items():
            if key in jobs.uses:
                by_key[key] = _sum(by_key.get(key, LeaseTime()), time)
    return [
        replace(use, gpu_used=_of(by_key[key].gpu_used, use.gpu_s), gpu_idle=_of(by_key[key].gpu_idle, use.gpu_s))
        if key in by_key
        else use
        for key, use in jobs.uses.items()
    ]


def _of(sampled: Part, whole: float) -> Part:
    """The sampled share, of a whole that is known exactly."""
    return Part(whole * sampled.amount / sampled.whole, whole, known=True) if sampled.whole > 0 else Part()


def _foreign_jobs(accounts: Mapping[NodeName, NodeAccount], around: Surroundings) -> list[JobUse]:
    """The jobs that the journal does not have, by their leases alone."""
    found: dict[tuple[int, str], list[tuple[NodeName, LeaseTime]]] = {}
    for node, account in accounts.items():
        for job, time in account.leases.items():
            if job[1] not in around.own_keys:
                found.setdefault(job, []).append((node, time))
    return [_foreign_job(job, parts, around) for job, parts in found.items()]


def _foreign_job(job: tuple[int, str], parts: Sequence[tuple[NodeName, LeaseTime]], around: Surroundings) -> JobUse:
    user, whole = around.user_name(job[0]), reduce(_sum, (time for _, time in parts))
    return JobUse(
        label=f"{user}/{job[1][:_KEY_DIGITS]}",
        name="",
        user=user,
        held=tuple(Held(node=node, cpu_s=time.cpu_s, gpu_s=time.gpu_s) for node, time in parts),
        gpu_used=whole.gpu_used,
        gpu_idle=whole.gpu_idle,
    )


def _sum(one: LeaseTime, other: LeaseTime) -> LeaseTime:
    return LeaseTime(
        cpu_s=one.cpu_s + other.cpu_s,
        gpu_s=one.gpu_s + other.gpu_s,
        gpu_used=one.gpu_used + other.gpu_used,
        gpu_idle=one.gpu_idle + other.gpu_idle,
    )


def _users(jobs: Iterable[JobUse], prices: PriceTable) -> list[UserUse]:
    """Those who have held most GPU-hours first, then cpu-hours."""
    found: dict[str, UserUse] = {}
    for job in jobs:
        user = found.get(job.user, UserUse(user=job.user))
        found[job.user] = replace(
            user,
            jobs=user.jobs + 1,
            cpu_s=user.cpu_s + job.cpu_s,
            gpu_s=user.gpu_s + job.gpu_s,
            cpu_used=user.cpu_used + job.cpu_used,
            gpu_used=user.gpu_used + job.gpu_used,
            gpu_idle=user.gpu_idle + job.gpu_idle,
            cost=user.cost + prices.cost_of(job.held),
        )
    return sorted(found.values(), key=lambda user: (-user.gpu_s, -user.cpu_s, user.user))


def cpus_per_gpu(total: NodesUse) -> float:
    """How many cpu-hours a GPU-hour is worth, where jobs are compared by what they waste."""
    return max(1.0, total.cpus / total.gpus) if total.cpus and total.gpus else 1.0


def wasters(jobs: Iterable[JobUse], gpu_worth: float) -> tuple[JobUse, ...]:
    """The jobs that have wasted most, worst first; those that have wasted next to nothing are left out."""

    def wasted(job: JobUse) -> float:
        return job.wasted_cpu_s + gpu_worth * job.wasted_gpu_s

    worst = sorted(jobs, key=lambda job: (-wasted(job), job.label))[:WASTERS]
    return tuple(job for job in worst if wasted(job) >= _WORTH_TELLING_S)


# -- the picture of load


def _load(accounts: Sequence[NodeAccount], fold: Callable[[Iterable[NodeName]], str]) -> tuple[LoadRow, ...]:
    """A row for each node, or for as many nodes beside each other as keep the rows few."""
    step = max(1, -(-len(accounts) // MOST_ROWS))
    chunks = [accounts[at : at + step] for at in range(0, len(accounts), step)]
    return tuple(
        LoadRow(
            name=fold(one.node for one in chunk),
            cells=tuple(map(_mean, zip(*(one.load for one in chunk), strict=True))),
        )
        for chunk in chunks
    )


def _mean(parts: Sequence[Part]) -> float | None:
    whole = reduce(add, parts, Part())
    return whole.amount / whole.whole if whole.whole > 0 else None
