"""Devices in each state, with the jobs of this host and of others, strangers, and processes whose owner is hidden."""

from dataclasses import replace

from clbalance.model import Allocation, Gpu, GpuProcess, Lease, NodeName, Unknown
from clbalance.render.names import KnownJob, KnownNames
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load_gpus import LoadGpusReport
from tests.render.build import GIB, NOT_ASKED, gpu, silent, up
from tests.render.examples import Example

OWN = Lease(key="0123abcd" * 4, attempt=1, uid=1000, allocation=Allocation(gpus=("GPU-0",), name="train"))
THEIRS = Lease(
    key="fedcba98" * 4, attempt=2, uid=1001, allocation=Allocation(gpus=("GPU-1",), gpu_share=0.25, uptime_s=80_000.0)
)
NAMES = KnownNames(
    users={1000: "ann", 1001: "bob"},
    users_there={NodeName("gpu1"): {1002: "carol"}},
    jobs={OWN.key: KnownJob(id=7, command="python3 train.py --lr 3e-4")},
)


def on(device: Gpu, *processes: GpuProcess) -> Gpu:
    return replace(device, processes=processes)


def process(pid: int, name: str, gib: int, uid: int | None, lease: Lease | None = None) -> GpuProcess:
    return GpuProcess(pid=pid, name=name, mem_bytes=gib * GIB, uid=uid, lease="" if lease is None else lease.name)


def part(number: int, **of_gpu: object) -> Gpu:
    made = gpu(4, **of_gpu)  # type: ignore[arg-type]  # passed on as given
    return replace(made, uuid=f"MIG-{number}", parent="GPU-4", model="NVIDIA H100 MIG 1g.10gb", use_pct=NOT_ASKED)


GPUS = [
    on(gpu(0, used_gib=60, use_pct=98.0), process(4711, "/usr/bin/python3", 60, 1000, OWN)),
    on(
        gpu(1, used_gib=50, use_pct=40.0),
        process(12, "python3", 30, 1001, THEIRS),
        process(13, "python3", 5, 1001, THEIRS),
        process(14, "xmrig", 10, 1002),
        process(15, "eval.py", 4, 1000),
        process(16, "[Not Found]", 1, None),
    ),
    gpu(2),
    replace(gpu(3), fault="Xid 79: GPU has fallen off the bus"),
    part(0),
    on(part(1, used_gib=4), process(17, "notebook", 4, 1000, OWN)),
]
ROWS = [
    up("gpu1", 40.0, gpus=GPUS, leases=[OWN, THEIRS]),
    up("gpu2", 30.0, gpus=Unknown(reason="`nvidia-smi` timed out")),
    up("node1", 90.0),
    silent("gpu3"),
]
EXAMPLES = (Example("load-gpus", (LoadGpusReport(ROWS, NAMES),)),)


def hostile(one: str, other: str) -> list[Report]:
    lease = replace(OWN, key=other, allocation=Allocation(name=one, gpus=("GPU-0",)))
    device = on(replace(gpu(0), model=other, driver_version=one), process(1, other, 1, 1002, lease))
    names = KnownNames(users={1000: one}, users_there={NodeName(one): {1002: other}})
    rows = [silent(one, other), up(one, gpus=[device], leases=[lease]), up(other, gpus=Unknown(reason=one))]
    return [LoadGpusReport(rows, names)]
