"""A job of which each copy ended in another way."""

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Cancelled, Exited, Killed, Lost, NotStarted, Outcome, TimedOut
from clbalance.render.report import Report
from clbalance.render.reports.jobs.run import JobReport, JobResult, JobResults, NewJob
from tests.render.examples import Example, one_file


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
_OUTPUTS = {
    ("node1", "stdout"): {"bytes": 6, "text": "hello\n", "base64": None, "path": None},
    ("node1", "stderr"): {"bytes": 2, "text": None, "base64": "/3g=", "path": None},
    ("node2", "stdout"): {"bytes": 1048577, "text": None, "base64": None, "path": "/tmp/clbalance-node2-stdout-x"},
}
_RUNNING = JobResult(id=18, name="train", state="RUNNING", node_set="node9", running={0: NodeName("node9")})
_TASKS = JobResult(
    id=19,
    name="tasks",
    state="COMPLETED",
    node_set="node1",
    rc=0,
    tasks=({"task": 1, "state": "COMPLETED", "node": "node1"},),
    outputs={("1", "stdout"): {"bytes": 1, "text": "x", "base64": None, "path": None}},
)
_CANCELLED = JobResult(id=20, name="x", state="CANCELLED", reason="cancelled by ann", rc=125, result="CANCELLED")
EXAMPLES = (
    Example("run", (_REPORT,)),
    Example(
        "job-results",
        (JobResults((_REPORT.result(_OUTPUTS), _RUNNING, _TASKS, _CANCELLED)),),
        one_file("job-results-human.txt", "80", "140", "pipe"),
    ),
    Example("new-job", (NewJob(_RUNNING),), one_file("new-job.txt", "80", "140", "pipe", "plain")),
)


def hostile(one: str, other: str) -> list[Report]:
    copies = (
        Outcome(node=NodeName(one), rank=0, end=NotStarted(reason=other), seconds=0.0, warnings=(other,)),
        Outcome(node=NodeName(other), rank=1, end=Cancelled(reason=one), seconds=0.0),
        Outcome(node=NodeName(other), rank=2, end=Exited(rc=0), seconds=float("nan")),
    )
    report = JobReport(id=1, name=other, node_set=one, outcomes=copies)
    result = JobResult(
        id=2, name=one, state=other, reason=one, node_set=other, result=one, outputs={(one, "stdout"): other}
    )
    return [report, JobResults((report.result(), result)), NewJob(result)]
