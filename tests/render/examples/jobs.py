"""Jobs of every kind: running, pending with a name too long, failed, and of another host."""

from clbalance.model import Qos
from clbalance.model.job_record import Usage
from clbalance.render.report import Report
from clbalance.render.reports.jobs.jobs import JobRow, JobsReport
from tests.render.examples import Example

_JOBS = (
    JobRow(
        id=7, name="train", user="ann", state="RUNNING", reason="", rc=None, node_set="gpu[1-4]", seconds=3725.0, attempt=1
    ),
    JobRow(
        id=8,
        name="[red]a-name-that-is-longer-than-anybody-reads",
        user="ann",
        state="PENDING",
        reason="0/12 nodes fit: 5 load above 0.80, 4 load unknown, 3 drained",
        rc=None,
        node_set="",
        seconds=None,
        attempt=1,
    ),
    JobRow(id=9, name="x", user="ann", state="FAILED", reason="", rc=3, node_set="n1", seconds=0.5, attempt=3),
    JobRow(
        id=None, name="-", user="uid 12", state="RUNNING", reason="submitted elsewhere", rc=None, node_set="n[1,3]",
        seconds=61.0, attempt=1, elsewhere="12/3f9a1c2b7d0e",
    ),
)  # fmt: skip
EXAMPLES = (Example("jobs", (JobsReport(_JOBS),)),)


def hostile(one: str, other: str) -> list[Report]:
    row = JobRow(
        id=1, name=one, user=other, state=one, reason=other, rc=None, node_set=one, seconds=float("nan"), attempt=1,
        qos=Qos.BURSTABLE, usage=Usage(cpu_s=1.0, mem_bytes=1),
    )  # fmt: skip
    return [JobsReport([row])]
