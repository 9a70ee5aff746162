"""A choice with its reasons, and a job that was placed, and then found no node."""

from dataclasses import replace

from clbalance.model import NodeName, Qos, Term, Unfit
from clbalance.model.job_record import CopyRecord, Intent, Placed
from clbalance.render.jobs.limits import job_limits
from clbalance.render.report import Report
from clbalance.render.reports.jobs.explain import ExplainReport, PlacementReport
from tests.render.build import plan, score
from tests.render.examples import Example

from .pick import PLAN
from .replay import CHOSEN, SHORT, odd_choice

_NOWHERE = plan([], [], [Unfit(node=NodeName("node1"), filter="excluded", reason="excluded", detail="it failed there")])
_PLACED = [Placed(attempt=1, claim=1, plan=PLAN), Placed(attempt=2, claim=2, plan=_NOWHERE)]
_KEPT = ("bound to cpus 0-1", "memory limit 2 GiB, checked every 0.5 s (no scope: \x1b[31msystemd does not run there)")
_COPIES = [
    CopyRecord(
        attempt=1,
        claim=1,
        intent=Intent(node=NodeName(name), rank=rank, boot_id="b", incarnation="c"),
        outcome=None,
        limits=_KEPT if rank else (),
    )
    for rank, name in enumerate(("node9", "node1", "node2"))
]
_NEVER_ASKED = tuple(
    replace(
        one,
        terms=(
            *one.terms,
            Term(
                name="cpu use",
                points=one.total,
                weight=2.0,
                source="the last reading is less than 1 s old",
                unknown=True,
            ),
        ),
    )
    for one in (score("node1", 95.0), score("node2", 95.0), score("node3", 81.0))
)
_FEW_ASKED = plan(
    [score("node1", 95.0), score("node2", 93.0)],
    ["node1"],
    [
        Unfit(node=NodeName("node3"), filter="silent", reason="hung", detail="no answer in 5 s"),
        *(
            Unfit(node=NodeName(f"node{number}"), filter="not asked", reason="not asked", detail=reason)
            for number, reason in (
                (4, "7 s ago: drained: disk"),
                (5, "7 s ago others were at least as good"),
                (6, "7 s ago others were at least as good"),
                (7, "nothing is known of it from the last 120 s; others will do"),
            )
        ),
    ],
)
EXAMPLES = (
    Example("explain", (PlacementReport(PLAN),)),
    Example("explain-few", (PlacementReport(_FEW_ASKED),)),
    Example("explain-unknown", (PlacementReport(plan(_NEVER_ASKED, ["node1"])),)),
    Example("explain-job", (ExplainReport(placed=_PLACED, limits=job_limits(Qos.BURSTABLE, _COPIES)),)),
    Example("explain-auto", (ExplainReport(placed=_PLACED[:1], limits=job_limits(None, []), choices=(CHOSEN, SHORT)),)),
)


def hostile(one: str, other: str) -> list[Report]:
    # Names of nodes have passed their allow-list where they are folded.
    unfit = [Unfit(node=NodeName(other), filter="silent", reason=other, detail=one)]
    named = plan([score(one, 90.0, message=other), score("b" + one, 10.0, message=other)], [one], unfit)
    message = plan([score("n1", 90.0, message=other), score("n2", 10.0, message=one)], ["n1"], unfit)
    intent = Intent(node=NodeName("n1"), rank=0, boot_id="b", incarnation="c")
    limits = job_limits(None, [CopyRecord(attempt=1, claim=1, intent=intent, outcome=None, limits=(one, other))])
    placed = [Placed(attempt=number, claim=number, plan=message) for number in (1, 2)]
    choices = [odd_choice(one, other)]
    return [PlacementReport(named), ExplainReport(placed=placed, limits=limits, choices=choices)]
