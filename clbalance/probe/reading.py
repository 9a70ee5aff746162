"""The sections of one answer → one `Reading`, of which each part stands or falls alone."""

from collections.abc import Mapping

from clbalance.model import Reading, Unknown
from clbalance.probe.boot import parse_boot_id, parse_uptime
from clbalance.probe.cpus import parse_cpus
from clbalance.probe.devices import parse_devices
from clbalance.probe.drains import parse_drains
from clbalance.probe.frame import Section
from clbalance.probe.leases import parse_leases
from clbalance.probe.loadavg import parse_loadavg
from clbalance.probe.logins import parse_logins
from clbalance.probe.marks import parse_marks
from clbalance.probe.meminfo import parse_meminfo
from clbalance.probe.pressure import parse_pressure
from clbalance.probe.procfs import parse_procfs
from clbalance.probe.python import parse_python
from clbalance.probe.stat import parse_cpu_ticks
from clbalance.probe.tmp import parse_tmp
from clbalance.probe.traffic import parse_drivers, parse_traffic
from clbalance.probe.user import parse_uid

# A section that the answer lacks altogether reads as one that did not end.
_MISSING = Section(text="", status=None)


def parse_reading(sections: Mapping[str, Section]) -> Reading:
    """All that the answer tells; what it does not tell is unknown, with the reason."""
    files = parse_procfs(sections.get("proc", _MISSING).text)
    python = sections.get("python", _MISSING)
    uid = parse_uid(files.get("/proc/self/status", ""))
    marks = parse_marks(sections.get("marks", _MISSING), uid)
    return Reading(
        boot_id=parse_boot_id(files.get("sys/kernel/random/boot_id", "")),
        uptime_s=parse_uptime(files.get("uptime", "")),
        run_queue=parse_loadavg(files.get("loadavg", "")),
        cpus=parse_cpus(files),
        cpu_ticks=parse_cpu_ticks(files.get("stat", "")),
        memory=parse_meminfo(files.get("meminfo", "")),
        pressure=parse_pressure(files),
        traffic=parse_traffic(files.get("diskstats", ""), files.get("net/dev", ""), parse_drivers(files)),
        logins=parse_logins(sections.get("logins", _MISSING)),
        python=parse_python(python.text) if python.status is not None else Unknown(why="timed out"),
        tmp=parse_tmp(sections.get("tmp", _MISSING)),
        gpus=parse_devices(sections, files),
        uid=uid,
        leases=parse_leases(marks),
        drains=parse_drains(marks),
    )
