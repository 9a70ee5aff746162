"""The Standard Workload Format: 18 fields a line, `-1` for an unknown value, `;` before headers and remarks.

Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers", JSSPP 1999;
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Fields that cannot be used are treated as in simulators
with published results (docs/design/replay.md).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from clbalance.errors import TraceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Request
from clbalance.model.trace import Arrival, Trace, in_order_of_submit, remarks_of
from clbalance.trace.nodes import idle_node

_FIELDS: Final = 18
_HEADER: Final = re.compile(r";\s*(MaxProcs|MaxNodes)\s*:\s*(\d+)")
_MEMORY_BYTES: Final = 1 << 30  # any size will do: the jobs request no memory
_MOST: Final = 1_000_000
"""Processors; more than any machine in the archive has."""

_NO_RUN_TIME = "without a run time left out"
_NO_PROCESSORS = "without processors left out"
_CUT = "cut to the time that was asked for"
_UNTOLD = "took as long as was estimated, for no time was asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwfLog:
    """The jobs, and the number of processors of the machine; None if no header gives it."""

    trace: Trace
    processors: int | None


def parse_swf(name: str, lines: Iterable[str]) -> SwfLog:
    """The jobs of the file `name` by submit time; `TraceError` for a malformed line.

    Each job requests one cpu per processor. Jobs that did not run are left out; a job that ran longer than its
    requested time ends when that time is over.
    """
    headers: dict[str, int] = {}
    notes: Counter[str] = Counter()
    arrivals = list(_arrivals(name, lines, headers, notes))
    processors = headers.get("MaxProcs") or headers.get("MaxNodes") or None
    if processors is not None and processors > _MOST:
        raise TraceError(f"{name}: {processors} processors", hint=f"at most {_MOST}")
    return SwfLog(trace=Trace(arrivals=in_order_of_submit(arrivals), remarks=remarks_of(notes)), processors=processors)


def processors_as_nodes(count: int) -> tuple[Measured, ...]:
    """`count` nodes of one cpu: the format gives the number of processors of a job, not their nodes."""
    width = len(str(count))
    return tuple(
        idle_node(NodeName(f"p{number:0{width}}"), cpus=1, mem_bytes=_MEMORY_BYTES) for number in range(1, count + 1)
    )


def _arrivals(name: str, lines: Iterable[str], headers: dict[str, int], notes: Counter[str]) -> Iterator[Arrival]:
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith(";"):
            if header := _HEADER.match(line.lstrip()):
                headers.setdefault(header[1], int(header[2]))
        elif line.strip() and (arrival := _arrival(f"{name}:{number}", line.split(), notes)):
            yield arrival


def _arrival(where: str, fields: list[str], notes: Counter[str]) -> Arrival | None:
    if len(fields) != _FIELDS:
        raise TraceError(
            f"{where}: {len(fields)} fields, where the Standard Workload Format has {_FIELDS}",
            hint="`-1` stands for what is not known",
        )
    values = [_value(where, at, text) for at, text in enumerate(fields, start=1)]
    submit_s, run_s, allocated, requested, asked_s = (values[at - 1] for at in (2, 4, 5, 8, 9))
    processors = int(requested if requested > 0 else allocated)
    if run_s <= 0 or submit_s < 0:
        notes[_NO_RUN_TIME] += 1
        return None
    if processors <= 0:
        notes[_NO_PROCESSORS] += 1
        return None
    if asked_s <= 0:
        notes[_UNTOLD] += 1
    elif run_s > asked_s:
        notes[_CUT] += 1
    duration_s = run_s if asked_s <= 0 else min(run_s, asked_s)
    return Arrival(
        job=fields[0],
        submit_s=submit_s,
        duration_s=duration_s,
        estimate_s=asked_s if asked_s > 0 else duration_s,
        request=Request(pick=processors, cpus=1.0, slots=0),
    )


def _value(where: str, at: int, text: str) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        value = None
    if value is None or not -1e15 < value < 1e15:
        raise TraceError(f"{where}: field {at} is {text[:40]!a}", hint="a number; `-1` stands for what is not known")
    return value
