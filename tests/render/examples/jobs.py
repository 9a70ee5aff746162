"""Jobs of every kind: running, pending with a name too long, failed, of tasks, and of another host."""

from datetime import UTC, datetime

from clbalance.model import Qos
from clbalance.model.job_record import FinalUsage, JobState, Usage
from clbalance.model.task import TaskSummary
from clbalance.render.jobs.columns import LONG
from clbalance.render.jobs.row import JobRow, Resources
from clbalance.render.report import Report
from clbalance.render.reports.jobs.jobs import JobsReport
from tests.render.examples import Example

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_JOBS = (
    JobRow(
        id=7, name="train", user="ann", state="RUNNING", reason="", rc=None, node_set="gpu[1-4]", seconds=3725.0,
        attempt=1, submitted_at=datetime(2026, 2, 28, 23, 58, tzinfo=UTC),
        started_at=datetime(2026, 3, 1, 10, 57, 55, tzinfo=UTC), command="./train --epochs 3 --data 'my set'",
        resources=Resources(cpus=4.0, mem_bytes=20 << 30, gpus=2),
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
        submitted_at=datetime(2026, 3, 1, 11, 59, tzinfo=UTC),
        command="long.sh",
        resources=Resources(cpus=0.5, mem_bytes=0, gpus=1, gpu_share=0.25),
    ),
    JobRow(
        id=9, name="x", user="ann", state="FAILED", reason="", rc=3, node_set="n1", seconds=0.5, attempt=3,
        submitted_at=datetime(2025, 12, 31, 12, tzinfo=UTC), started_at=datetime(2025, 12, 31, 12, tzinfo=UTC),
        ended_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC), command="echo [b]; exit 3",
        resources=Resources(cpus=1.0, mem_bytes=0, gpus=0),
        final=FinalUsage(user_s=0.25, system_s=0.125, max_rss_bytes=10 << 20),
    ),
    JobRow(
        id=10, name="sweep", user="ann", state="RUNNING", reason="", rc=None, node_set="n[1-2]", seconds=30.0, attempt=1,
        submitted_at=NOW, started_at=NOW, command="sim", resources=Resources(cpus=1.0, mem_bytes=0, gpus=0),
        tasks=TaskSummary(total=8, by_state={JobState.COMPLETED: 5, JobState.RUNNING: 2, JobState.PENDING: 1}),
    ),
    JobRow(
        id=None, elsewhere="12/0123456789ab", key="0123456789abcdef" * 2, name="-", user="uid 12", state="RUNNING", reason="submitted elsewhere", rc=None, node_set="n[1,3]",
        seconds=61.0, attempt=1,
    ),
)  # fmt: skip
EXAMPLES = (
    Example("jobs", (JobsReport(_JOBS, now=NOW),)),
    Example("jobs-own", (JobsReport(_JOBS[:3:2], now=NOW),)),
    Example("jobs-long", (JobsReport(_JOBS, columns=LONG),)),
)


def hostile(one: str, other: str) -> list[Report]:
    row = JobRow(
        id=1, name=one, user=other, state=one, reason=other, rc=None, node_set=one, seconds=float("nan"), attempt=1,
        qos=Qos.BURSTABLE, usage=Usage(cpu_s=1.0, mem_bytes=1), command=one, key=other,
    )  # fmt: skip
    return [JobsReport([row]), JobsReport([row], columns=LONG)]
