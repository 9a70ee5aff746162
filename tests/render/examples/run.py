"""A job of which each copy ended in another way."""

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Cancelled, Exited, Killed, Lost, NotStarted, Outcome, TimedOut
from clbalance.render.report import Report
from clbalance.render.reports.jobs.run import JobReport
from tests.render.examples import Example


def _outcome(rank: int, end: object, seconds: float = 1.5) -> Outcome:
    return Outcome(node=NodeName(f"node{rank + 1}"), rank=rank, end=end, seconds=seconds)  # type: ignore[arg-type]


_REPORT = JobReport(
    id=17,
    name="job.sh",
    node_set="node[1-7]",
    outcomes=(
        _outcome(0, Exited(rc=0), 0.31),
        _outcome(1, Exited(rc=3), 12.4),
        _outcome(2, Killed(signal=9)),
        _outcome(3, TimedOut(limit_s=90.0), 90.0),
        _outcome(4, Cancelled(reason="stopped by signal 2")),
        _outcome(5, NotStarted(reason="nosuch: command not found", rc=127), 0.0),
        _outcome(6, Lost(cause=Cause.LOST, reason="connection closed by remote host"), 3725.0),
    ),
)
EXAMPLES = (Example("run", (_REPORT,)),)


def hostile(one: str, other: str) -> list[Report]:
    copies = (
        Outcome(node=NodeName(one), rank=0, end=NotStarted(reason=other), seconds=0.0, warnings=(other,)),
        Outcome(node=NodeName(other), rank=1, end=Cancelled(reason=one), seconds=0.0),
        Outcome(node=NodeName(other), rank=2, end=Exited(rc=0), seconds=float("nan")),
    )
    return [JobReport(id=1, name=other, node_set=one, outcomes=copies)]
