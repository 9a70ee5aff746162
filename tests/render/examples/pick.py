"""One node chosen of three that fit."""

from clbalance.model import NodeName, Unfit
from clbalance.policy.forecast.stays_free import StaysFree, Verdict
from clbalance.render.report import Report
from clbalance.render.reports.nodes.pick import PickReport
from tests.render.build import plan, score
from tests.render.examples import Example

PLAN = plan(
    [score("node1", 95.25), score("node3", 95.25), score("node10", 81.0, message="r1m 3.52 + 1 requested on 32 cpus")],
    ["node1"],
    [
        Unfit(node=NodeName("node2"), filter="thresholds", reason="load above 1.00", detail="load is 1.406"),
        Unfit(node=NodeName("node7"), filter="silent", reason="silent", detail="unreachable: No route to host"),
        Unfit(node=NodeName("node9"), filter="excluded", reason="excluded"),
    ],
)
_STAYS = (StaysFree(node=NodeName("node1"), verdict=Verdict.MAYBE, why="load 0.90 per cpu expected"),)
EXAMPLES = (
    Example("pick", (PickReport(plan=PLAN, folded="node1"),)),
    Example("pick-for", (PickReport(plan=PLAN, folded="node1", stays_free=_STAYS),)),
)


def hostile(one: str, other: str) -> list[Report]:
    chosen = plan(
        [score(one, 90.0, message=other), score("b" + one, float("nan"), message=other)],
        [one],
        [Unfit(node=NodeName(other), filter="silent", reason=other, detail=one)],
    )
    stays = (StaysFree(node=NodeName(one), verdict=Verdict.NO, why=other),)
    return [PickReport(plan=chosen, folded=one, stays_free=stays)]
