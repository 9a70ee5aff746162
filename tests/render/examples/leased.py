"""`show` of a job of another user: one that tells all of itself, and one that tells nothing."""

from dataclasses import replace

from clbalance.model import Allocation, Lease, NodeName, Unknown
from clbalance.policy.jobs.leased import LeasedCopy, LeasedJob
from clbalance.policy.jobs.leased_view import CopyStatus, KeptSpec, LeasedView
from clbalance.render.report import Report
from clbalance.render.reports.jobs.leased import LeasedReport
from tests.render.examples import Example

_KEY = "3f9a1c2b7d0e" + "0" * 20
_LEASE = Lease(
    key=_KEY,
    attempt=1,
    uid=2001,
    allocation=Allocation(cpus=2.0, mem_bytes=4 << 30, gpus=("GPU-1",), gpu_share=0.5, exclusive=True, name="train"),
)
_COPIES = tuple(
    LeasedCopy(node=NodeName(node), lease=_LEASE, boot_id="b", login=0, age_s=60.0) for node in ("node1", "node2")
)
_ALL = LeasedView(
    job=LeasedJob(key=_KEY, uid=2001, copies=_COPIES),
    owner="alice",
    spec=KeptSpec(
        command=("train.sh", "--epochs", "3 4"),
        chdir="/home/alice/project",
        time_limit_s=7200.0,
        number=17,
        submit_host="login1",
    ),
    copies=(
        CopyStatus(
            node=NodeName("node1"), state="running", pid=4711, processes=3, seconds=59.5, cpu_s=90.0, mem_bytes=3 << 30
        ),
        CopyStatus(node=NodeName("node2")),
    ),
)
_UNREADABLE = replace(_LEASE, uid=2002, allocation=Unknown(reason="no JSON"))
_NOTHING = LeasedView(
    job=LeasedJob(key=_KEY, uid=2002, copies=(replace(_COPIES[0], lease=_UNREADABLE, age_s=0.0),)),
    owner="2002",
    spec=KeptSpec(),
    copies=(CopyStatus(node=NodeName("node1"), state="claimed"),),
)
EXAMPLES = (Example("show-leased", (LeasedReport([_ALL, _NOTHING]),)),)


def hostile(one: str, other: str) -> list[Report]:
    lease = replace(_LEASE, allocation=replace(Allocation(), gpus=(one,), name=other))
    spec = KeptSpec(command=(one, other), chdir=other, time_limit_s=float("inf"), number=1, submit_host=one)
    job = LeasedJob(key=_KEY, uid=2001, copies=(replace(_COPIES[0], lease=lease),))
    copies = (CopyStatus(node=NodeName("n1"), state=other, seconds=float("nan"), cpu_s=1e300, mem_bytes=1 << 61),)
    return [LeasedReport([LeasedView(job=job, owner="alice", spec=spec, copies=copies)])]
