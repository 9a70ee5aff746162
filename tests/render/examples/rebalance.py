"""A plan of moves, and what was done of it."""

from dataclasses import replace

from clbalance.model import NodeName, Qos, Request, Unknown
from clbalance.policy.rebalance.values import Advice, NodeLevel, PlannedMigration, RebalancePlan, RunningJob
from clbalance.render.report import Report
from clbalance.render.reports.balance.rebalance import (
    Action,
    PoolReport,
    RebalanceReport,
    action_of,
    pool_heading,
    remarks,
)
from tests.render.examples import Example

N1, N2, N3, N4 = (NodeName(f"node{number}") for number in range(1, 5))
WAITS = PlannedMigration(job=19, name="y", src=N3, dst=N2, gain=0.125, reason="node3 0.90")
MOVE = PlannedMigration(
    job=17, name="train", src=N1, dst=N2, gain=0.375, reason="load per cpu: node1 1.00, node2 0.00, mean 0.44"
)
STAYING = RunningJob(
    job=18,
    name="x",
    node=N1,
    request=Request(),
    cpus_used=None,
    qos=Qos.BURSTABLE,
    earlier_nodes=frozenset(),
    migrated_s_ago=None,
)
PLAN = RebalancePlan(
    score_before=0.41,
    score_after=0.104,
    mean=0.44,
    bound=0.5,
    migrations=(MOVE, WAITS),
    levels=(
        NodeLevel(node=N1, before=1.0, after=0.75, cpus=4.0, over=True),
        NodeLevel(node=N2, before=0.0, after=0.25, cpus=0.0, over=False),
        NodeLevel(node=N3, before=0.9, after=0.9, cpus=3.6, over=True),
        NodeLevel(node=N4, before=Unknown(reason="hung"), after=Unknown(reason="hung"), cpus=0.0, over=False),
    ),
    stays=((STAYING, "not marked `--requeue` or `--checkpoint`"),),
    advice=(Advice(uid=1001, node=N1, name="[red]y", cpus=2.0, text="job y on node1 (2 cpus): mark it `--requeue`"),),
)
POOL = PoolReport(name="gpu", plan=PLAN, confirm=3, times_over=((N1, 3), (N3, 1)))
START = Action(what="start", job=20, name="late\x1b[31m", dst="node[2-3]", reason="0/4 nodes fit: 4 load above 1.00")
SETTLED = Action(what="settled", job=9, name="old", result="waits", reason="node failure of node4")
PLANNED = RebalanceReport(
    pools=(POOL,),
    actions=(START, action_of(MOVE), replace(action_of(WAITS), missing=2)),
    waiting=((21, "big", "0/4 nodes fit: 4 too few cpus free"),),
    applied=False,
    advice=(("ann", PLAN.advice[0]),),
)
DONE = (SETTLED, Action(what="start", job=20, name="late", dst="node2", result="started"), action_of(MOVE, "moved"))
EXAMPLES = (
    Example("rebalance", (PLANNED,), beside="".join(f"{line}\n" for line in (pool_heading(POOL), *remarks(POOL)))),
    Example("rebalance-done", (*DONE, replace(PLANNED, actions=DONE, applied=True))),
)


def hostile(one: str, other: str) -> list[Report]:
    action = Action(what="start", job=1, name=one, src=other, dst=one, gain=float("inf"), reason=other, result=one)
    advice = Advice(uid=1, node=NodeName(one), name=other, cpus=1.0, text=one)
    level = NodeLevel(node=NodeName(one), before=Unknown(reason=other), after=float("nan"), cpus=0.0, over=True)
    plan = replace(PLAN, levels=(level,), stays=((replace(STAYING, name=one), other),), score_before=float("nan"))
    pool = PoolReport(name=other, plan=plan, confirm=1, times_over=((NodeName(one), 1),))
    report = RebalanceReport(
        pools=(pool,), actions=(action,), waiting=((1, one, other),), applied=False, advice=((other, advice),)
    )
    return [action, report, replace(report, applied=True)]
