"""`/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`."""

from clbalance.model import RunQueue, Unknown
from clbalance.probe.bounded import decimal, whole

_MOST = 1_000_000  # runnable tasks: well beyond any machine's pid_max in use


def parse_loadavg(text: str) -> RunQueue | Unknown:
    """The run queue, without the shell that read it."""
    match text.split():
        case [one, five, fifteen, tasks, *_]:
            running = whole(tasks.partition("/")[0], most=_MOST)
            loads = [decimal(word, most=_MOST) for word in (one, five, fifteen)]
        case []:
            return Unknown(why="no /proc/loadavg")
        case _:
            return Unknown(why="/proc/loadavg is cut short")
    match loads:
        case [float(r1m), float(r5m), float(r15m)] if running is not None:
            # The fourth field counts the reader, which runs while it reads.
            return RunQueue(r1m=r1m, r5m=r5m, r15m=r15m, rq=max(0, running - 1))
        case _:
            return Unknown(why="/proc/loadavg does not parse")
