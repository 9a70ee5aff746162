"""`/proc/stat`: the line `cpu  user nice system idle iowait irq softirq steal guest guest_nice`, in ticks."""

from clbalance.model import CpuTicks, Unknown
from clbalance.probe.bounded import whole, wholes

_MOST_TICKS = 2**63
MOST_CPUS = 65_536


def parse_cpu_ticks(text: str) -> CpuTicks | Unknown:
    """Ticks since boot, all cpus together.

    Waiting for a disk is idle. Stolen time is busy: it is not to be had here. Guests are in user and nice already.
    """
    for line in text.split("\n"):
        name, *fields = line.split()[:9] or [""]
        if name != "cpu":
            continue
        ticks = wholes(fields, most=_MOST_TICKS)
        if ticks is None or len(ticks) < 4:
            return Unknown(why="/proc/stat does not parse")
        total = sum(ticks)
        return CpuTicks(busy=total - sum(ticks[3:5]), total=total)
    return Unknown(why="no /proc/stat")


def parse_online(text: str) -> int | Unknown:
    """How many cpus have a line of their own."""
    names = {line.split(" ", 1)[0] for line in text.split("\n")}
    online = sum(name.startswith("cpu") and whole(name[3:], most=MOST_CPUS) is not None for name in names)
    return online if 1 <= online <= MOST_CPUS else Unknown(why="no cpus in /proc/stat")
