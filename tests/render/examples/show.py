"""A job with everything, a job of tasks that waits, and one of which only the record is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.model import NodeName, Qos, Request
from clbalance.model.job import Checkpoint, Command, JobSpec, OutputState, RestartPolicy, Script, Submitted, TaskRules
from clbalance.model.job_files import JobFiles, ReturnRecord, ReturnState, SentPath
from clbalance.model.job_record import (
    CopyRecord,
    End,
    Exited,
    FinalUsage,
    Intent,
    JobRecord,
    JobState,
    MigrationRequest,
    NodeFailed,
    Outcome,
    Placed,
)
from clbalance.model.request import Constraints, Preference
from clbalance.model.task import TaskSummary
from clbalance.policy.jobs.usage import JobUsage, usage_in_all
from clbalance.render.jobs.row import FileFacts, OutputFacts, job_row
from clbalance.render.report import Report
from clbalance.render.reports.jobs.show import JobDetails, ShowReport
from tests.render.examples import Example

from .pick import PLAN

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_RECORD = JobRecord(
    id=7, key="0123456789abcdef" * 2, name="train", state=JobState.FAILED, reason="killed by SIGTERM", rc=143,
    attempt=2, claim=2, nodes=(NodeName("node1"), NodeName("node2")), submitted_at=NOON,
    started_at=NOON + timedelta(seconds=5), ended_at=NOON + timedelta(hours=1), has_controller=False,
    qos=Qos.BURSTABLE, priority=2.5,
)  # fmt: skip
_REQUEST = Request(
    pick=2, cpus=2.0, mem_bytes=4 << 30, gpus=1, gpu_share=0.5, gpu_mem_bytes=2 << 30, gpu_models=frozenset({"A100"}),
    tmp_bytes=1 << 30, slots=2, exclusive=True, limit_cpus=2.0, limit_mem_bytes=8 << 30,
    excluded=frozenset({NodeName("node9")}),
    constraints=Constraints(
        where="ut < 50", order="-mem", tolerated=frozenset({"slow"}), near=("db",), apart=("web",), same="rack",
        preferences=(Preference(label="disk", value="ssd", weight=4.0),),
    ),
)  # fmt: skip
_SPEC = JobSpec(
    id=7, key=_RECORD.key, name="train", payload=Script(name="train.sh", content=None, args=("--epochs", "3", "[b] x")),
    chdir="/home/ann/project", chdir_explicit=False, umask=0o22, env={"TOKEN": "secret", "A": "b"}, time_limit_s=7200.0,
    submit_host="login1", submit_dir="/home/ann/project", user="bob",
)  # fmt: skip
_SUBMITTED = Submitted(
    job=_SPEC, request=_REQUEST, candidates=tuple(NodeName(f"node{at}") for at in range(1, 5)), stdin_path="/data/in",
    restart_policy=RestartPolicy(
        retry=2, requeue=True, requeue_exits=frozenset({85}), after=(5, 6), queue_for_s=3600.0,
        checkpoint=Checkpoint(signal=10, file="ckpt"),
    ),
    notify="mail -s over ann", group="gpu-nodes", policy="pack", priority=2.5, output="/home/ann/%j-%n.log",
)  # fmt: skip


def copy(attempt: int, node: str, end: End | None, **more: FinalUsage) -> CopyRecord:
    name = NodeName(node)
    outcome = None if end is None else Outcome(node=name, rank=0, end=end, seconds=60.0, warnings=("w",), **more)
    intent = Intent(node=name, rank=0, boot_id="b", incarnation="i")
    return CopyRecord(attempt=attempt, claim=attempt, intent=intent, outcome=outcome, limits=("bound to cpus 0-1",))


_COPIES = (
    copy(1, "node3", NodeFailed(reason="the node was booted again")),
    copy(2, "node1", Exited(rc=3), usage=FinalUsage(user_s=60.0, system_s=30.0, max_rss_bytes=3 << 30)),
    copy(2, "node2", None),
)
_ENDED = [one.outcome for one in _COPIES[1:] if one.outcome is not None]
_FILES = JobFiles(
    sent=(SentPath(base="/home/ann", name="data/x.csv", files=1, size_bytes=3 << 20, newest_ns=0),),
    returned=("out/*.csv",),
    into="/home/ann/%j",
)
_RETURNS = (
    ReturnRecord(
        job=7, claim=2, rank=0, node=NodeName("node1"), folder="/var/tmp/clbalance-1000/jobs/k.2",
        state=ReturnState.COMPLETE, reason="out/l.csv: left out: it is a link", files=2, size_bytes=2048,
    ),
    ReturnRecord(job=7, claim=2, rank=1, node=NodeName("node2"), folder="", reason="no space left on the file system"),
)  # fmt: skip
_WHOLE = JobDetails(
    row=replace(
        job_row(_RECORD, _ENDED, user="ann", now=NOON, request=_REQUEST, command="train.sh --epochs 3 '[b] x'"),
        output=OutputFacts(output="/home/ann/%j-%n.log", error=None, state=OutputState.LOST, reason="the disk is full"),
        files=FileFacts(files=_FILES, returns=_RETURNS),
    ),
    record=_RECORD,
    submitted=_SUBMITTED,
    copies=_COPIES,
    placed=(Placed(attempt=2, claim=2, plan=PLAN),),
    usage=usage_in_all(_REQUEST, _ENDED),
    paths=("/home/ann/7-node1.log", "/home/ann/7-node2.log"),
    waits_for={5: JobState.COMPLETED, 6: None},
)
_WAITING = replace(
    _RECORD, id=8, name="sweep", state=JobState.PENDING, reason="after job 5", rc=None, attempt=1, nodes=(),
    started_at=None, ended_at=None, queued=True, cancel_requested="cancelled by ann", qos=None, priority=0.0,
)  # fmt: skip
_TASKS = JobDetails(
    row=job_row(
        _WAITING, [], user="ann", now=NOON, request=Request(pick=None), command="list of 2 commands",
        tasks=TaskSummary(total=2, by_state={JobState.PENDING: 2}),
    ),
    record=_WAITING,
    submitted=Submitted(
        job=replace(_SPEC, payload=Command(argv=("/bin/sh", "-c")), user=None, env={}), request=Request(pick=None),
        candidates=(NodeName("node1"),), rules=TaskRules(), restart_policy=RestartPolicy(after=(5,)),
    ),
    copies=(),
    placed=(),
    usage=JobUsage(),
    waits_for={5: JobState.RUNNING},
    gives_up_at=NOON + timedelta(hours=2),
    migration=MigrationRequest(attempt=1, dst=NodeName("node4"), reason="node1 is drained"),
)  # fmt: skip
_BARE_RECORD = replace(_RECORD, id=9, state=JobState.RUNNING, reason="", rc=None, ended_at=None, has_controller=True)
_BARE = JobDetails(
    row=job_row(_BARE_RECORD, [], user="ann", now=NOON + timedelta(minutes=1)),
    record=_BARE_RECORD,
    submitted=None,
    copies=(copy(2, "node1", None),),
    placed=(),
    usage=JobUsage(cpu_s=30.0, mem_bytes=1 << 30, cpu_share=0.5, mem_share=0.25),
)
EXAMPLES = (Example("show", (ShowReport([_WHOLE, _TASKS, _BARE]),)),)


def hostile(one: str, other: str) -> list[Report]:
    record = replace(_RECORD, name=one, reason=other, key=one, cancel_requested=other)
    spec = replace(_SPEC, chdir=one, submit_host=other, submit_dir=one, user=other, env={one: other})
    policy = replace(_SUBMITTED.restart_policy, checkpoint=Checkpoint(signal=1, file=one))
    request = replace(_REQUEST, constraints=replace(_REQUEST.constraints, where=one, near=(other,)))
    submitted = replace(
        _SUBMITTED,
        job=spec,
        request=request,
        restart_policy=policy,
        notify=other,
        group=one,
        policy=other,
        stdin_path=one,
    )
    ended = Outcome(node=NodeName(one), rank=0, end=NodeFailed(reason=other), seconds=1.0, warnings=(one,))
    copies = (replace(_COPIES[0], outcome=ended, limits=(one, other)),)
    row = replace(_WHOLE.row, name=one, user=other, reason=one, command=other, key=one, node_set=other)
    migration = MigrationRequest(attempt=1, dst=NodeName(one), reason=other)
    details = replace(
        _WHOLE, row=row, record=record, submitted=submitted, copies=copies, paths=(one, other), migration=migration
    )
    return [ShowReport([details])]
