"""Readings as a probe would give them, in one line."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from clbalance.model import Cpus, CpuTicks, NodeName, Reading, Request, RunQueue, Traffic, Unknown
from clbalance.model.job import Command, JobSpec, Submitted
from clbalance.store.state import SqliteStore

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HANGS = Unknown(reason="it hangs")
TICKS = CpuTicks(busy=10, total=2**62)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def reading(
    *,
    boot_id: str | Unknown = "b0",
    uptime_s: float | Unknown = 1234.56,
    ticks: CpuTicks | Unknown = TICKS,
    traffic: tuple[int, int, int, int] | None = (1, 2, 3, 2**63 - 1),
) -> Reading:
    return Reading(
        boot_id=boot_id,
        uptime_s=uptime_s,
        run_queue=RunQueue(r1m=1.0, r5m=1.0, r15m=1.0, rq=1),
        cpus=Cpus(online=4, model="m"),
        cpu_ticks=ticks,
        memory=HANGS,
        pressure=HANGS,
        tmp=HANGS,
        disk=HANGS if traffic is None else Traffic(in_bytes=traffic[0], out_bytes=traffic[1]),
        net=HANGS if traffic is None else Traffic(in_bytes=traffic[2], out_bytes=traffic[3]),
        logins=1,
        python="/usr/bin/python3",
        gpus=(),
        uid=1000,
        leases=(),
        drains=(),
    )


def node(name: str) -> NodeName:
    return NodeName(name)


def asked(key: str, name: str = "job") -> Submitted:
    """A job as it is submitted."""
    work = Command(argv=("true",))
    spec = JobSpec(id=0, key=key, name=name, payload=work, chdir="/", chdir_explicit=False, umask=0o22)
    return Submitted(job=spec, request=Request(), candidates=())


def submit(store: SqliteStore, key: str) -> int:
    """The number of a job that is noted down in `store`."""
    with closing(store.journal()) as journal:
        return journal.submit(NOON, asked(key))
