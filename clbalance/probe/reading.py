"""From the sections of one answer to a `Reading`, and from two readings of one boot to `Rates`."""

from collections.abc import Mapping
from datetime import datetime

from clbalance.model import CpuTicks, Rates, Reading, Traffic, Unknown
from clbalance.probe import gpu_owners
from clbalance.probe.frame import Section, parse_procfs
from clbalance.probe.gpu_devices import parse_devices
from clbalance.probe.host import (
    parse_boot_id,
    parse_cpus,
    parse_job_folder,
    parse_logins,
    parse_python,
    parse_tmp,
    parse_uid,
    parse_uptime,
)
from clbalance.probe.lease_files import parse_marks
from clbalance.probe.leases import lease_holders, may_drain_for_all, parse_drains, parse_leases
from clbalance.probe.limits import parse_limits
from clbalance.probe.load import (
    parse_cpu_ticks,
    parse_diskstats,
    parse_interfaces,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
    parse_pressure,
)

# A missing section is treated like a section that did not end.
_MISSING = Section(text="", status=None)


def parse_reading(sections: Mapping[str, Section]) -> Reading:
    """The reading of one answer; each part that is missing is unknown, with the reason."""
    files = parse_procfs(sections.get("proc", _MISSING).text)
    python = sections.get("python", _MISSING)
    uid = parse_uid(files.get("/proc/self/status", ""))
    marks = parse_marks(sections.get("marks", _MISSING), uid)
    devices = parse_devices(sections, files)
    gpus = devices.gpus
    if gpu_owners.are_told(sections) and not isinstance(gpus, Unknown):
        gpus = gpu_owners.with_owners(gpus, sections, lease_holders(marks))
    return Reading(
        boot_id=parse_boot_id(files.get("sys/kernel/random/boot_id", "")),
        uptime_s=parse_uptime(files.get("uptime", "")),
        run_queue=parse_loadavg(files.get("loadavg", "")),
        cpus=parse_cpus(files),
        cpu_ticks=parse_cpu_ticks(files.get("stat", "")),
        memory=parse_meminfo(files.get("meminfo", "")),
        pressure=parse_pressure(files),
        disk=parse_diskstats(files.get("diskstats", "")),
        net=parse_net_dev(files.get("net/dev", ""), parse_interfaces(files)),
        logins=parse_logins(sections.get("logins", _MISSING)),
        python=parse_python(python.text) if python.status is not None else Unknown(reason="timed out"),
        tmp=parse_tmp(sections.get("tmp", _MISSING)),
        job_folder=parse_job_folder(sections.get("tmp", _MISSING), uid),
        gpus=gpus,
        gpu_mps=devices.mps,
        gpus_missing=devices.missing,
        uid=uid,
        leases=parse_leases(marks),
        drains=parse_drains(marks),
        may_drain_for_all=may_drain_for_all(marks, uid),
        limits=parse_limits(sections.get("limits"), uid),
    )


# -- rates from two readings of one boot; the probe itself never sleeps to measure

_LEAST_S = 1.0  # ticks are 10 ms: a shorter span is noise
SECOND_LOOK_S = 0.5
"""The shortest span for a person who looks at a node for the first time: a tick of each cpu is 2 % of it."""
_MOST_S = 15 * 60.0  # a longer one is history, not load


def rates(
    before: Reading, before_at: datetime, after: Reading, after_at: datetime, least_s: float = _LEAST_S
) -> Rates | Unknown:
    """Cpu use and bytes per second from `before` to `after`, or why they are unknown."""
    span_s = (after_at - before_at).total_seconds()
    reason = _incomparable(before.boot_id, after.boot_id, span_s, least_s)
    if reason:
        return Unknown(reason=reason)
    return Rates(
        span_s=span_s,
        ut_pct=cpu_use_pct(before.cpu_ticks, after.cpu_ticks),
        disk_bytes_per_s=_bytes_per_s(before.disk, after.disk, span_s),
        net_bytes_per_s=_bytes_per_s(before.net, after.net, span_s),
    )


def _incomparable(before_boot: str | Unknown, after_boot: str | Unknown, span_s: float, least_s: float) -> str:
    if isinstance(before_boot, Unknown) or isinstance(after_boot, Unknown):
        return "boot_id unknown"
    if before_boot != after_boot:
        return "rebooted since the last reading"
    if span_s < least_s:
        return f"the last reading is less than {least_s:g} s old"
    if span_s > _MOST_S:
        return "the last reading is more than 15 min old"
    return ""


def cpu_use_pct(before: CpuTicks | Unknown, after: CpuTicks | Unknown) -> float | Unknown:
    """The share of the time between two readings in which the cpus were busy."""
    if isinstance(before, Unknown):
        return before
    if isinstance(after, Unknown):
        return after
    busy, total = after.busy - before.busy, after.total - before.total
    # The kernel's iowait may go back a little; then the use is unknown.
    if busy < 0 or total <= 0 or busy > total:
        return Unknown(reason="cpu counters did not go forward")
    return 100.0 * busy / total


def _bytes_per_s(before: Traffic | Unknown, after: Traffic | Unknown, span_s: float) -> float | Unknown:
    """Both directions together; unknown if a counter went back, as it does when a disk or an interface is removed."""
    if isinstance(before, Unknown):
        return before
    if isinstance(after, Unknown):
        return after
    into, out = after.in_bytes - before.in_bytes, after.out_bytes - before.out_bytes
    return (into + out) / span_s if min(into, out) >= 0 else Unknown(reason="counters went back")
