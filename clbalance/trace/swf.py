"""The Standard Workload Format: 18 fields a line, `-1` for an unknown value, `;` before headers and remarks.

Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers", JSSPP 1999;
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Fields that cannot be used are treated as in simulators
with published results (docs/design/replay.md).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import Final

from clbalance.errors import TraceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.model.trace import Arrival, Trace, in_order_of_submit, remarks_of

_FIELDS: Final = 18
_HEADER: Final = re.compile(r";\s*(MaxProcs|MaxNodes)\s*:\s*(\d\S*)", re.IGNORECASE)
_COUNT: Final = re.compile(r"(?:\d{1,3}(?:,\d{3}){1,6}|\d{1,20})[,;.]?")
_MOST: Final = 10**9
"""Processors; more than any machine has."""
_LARGEST: Final = 1e15
_BURSTS: Final = (2.0, 3.0, 4.0)
"""Status of a burst, one of several times that a job ran: to be continued, or the last, completed or failed."""

_NO_SUBMIT_TIME = "without a submit time left out"
_NO_RUN_TIME = "without a run time left out"
_NO_PROCESSORS = "without processors left out"
_CUT = "cut to the time that was asked for"
_UNTOLD = "took as long as was estimated, for no time was asked for"
_CHECKPOINTED = "with several bursts counted once"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwfLog:
    """The jobs, and the number of processors of the machine; None if no header gives it."""

    trace: Trace
    processors: int | None


def parse_swf(name: str, lines: Iterable[str]) -> SwfLog:
    """The jobs of the file `name` by submit time; `TraceError` for a malformed line.

    Each job requests one cpu per processor. Jobs that did not run are left out; a job that ran longer than its
    requested time ends when that time is over. The bursts of a job that was checkpointed or swapped out are one job.
    """
    log = _Log()
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        if line.lstrip().startswith(";"):
            log.header(where, line.lstrip())
        elif fields := line.split():
            log.job(fields[0], _values(where, line, fields))
    arrivals = in_order_of_submit(log.all_arrivals())
    return SwfLog(trace=Trace(arrivals=arrivals, remarks=remarks_of(log.notes)), processors=log.processors())


def looks_like_swf(line: str) -> bool:
    """Whether the first line of a file, which has no other name, is one of this format."""
    fields = line.split()
    return line.lstrip().startswith(";") or (len(fields) == _FIELDS and "," not in line)


@dataclass(slots=True)
class _Bursts:
    """The bursts of one job. `behind`: how many arrivals stand before the first of them."""

    job: str
    behind: int
    lines: list[list[float]] = field(default_factory=list)

    def added_up(self) -> list[float]:
        """The first burst, with the first submit time and the whole run time."""
        whole = self.lines[0].copy()
        whole[1] = next((burst[1] for burst in self.lines if burst[1] >= 0), -1.0)
        whole[3] = sum(burst[3] for burst in self.lines if burst[3] > 0)
        return whole


class _Log:
    """What has been read of a log."""

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self._headers: dict[str, tuple[str, str]] = {}
        self._arrivals: list[Arrival] = []
        self._requests: dict[int, Request] = {}
        self._numbers: set[float] = set()
        self._bursts: dict[float, _Bursts] = {}

    def header(self, where: str, line: str) -> None:
        if header := _HEADER.match(line):
            self._headers.setdefault(header[1].lower(), (where, header[2]))

    def job(self, job: str, values: list[float]) -> None:
        if values[10] in _BURSTS:
            self._bursts.setdefault(values[0], _Bursts(job, len(self._arrivals))).lines.append(values)
            return
        self._numbers.add(values[0])
        if arrival := self._arrival(job, values):
            self._arrivals.append(arrival)

    def all_arrivals(self) -> list[Arrival]:
        """The jobs, in the order of the lines. Bursts count where no line sums them up."""
        arrivals: list[Arrival] = []
        taken = 0
        for number, bursts in self._bursts.items():
            has_sum = number in self._numbers
            if has_sum or len(bursts.lines) > 1:
                self.notes[_CHECKPOINTED] += 1
            if not has_sum and (arrival := self._arrival(bursts.job, bursts.added_up())):
                arrivals += self._arrivals[taken : bursts.behind]
                arrivals.append(arrival)
                taken = bursts.behind
        return arrivals + self._arrivals[taken:]

    def processors(self) -> int | None:
        """The first header that gives a number, `MaxProcs` before `MaxNodes`; `TraceError` if it cannot be read."""
        for header, written in (("maxprocs", "MaxProcs"), ("maxnodes", "MaxNodes")):
            where, text = self._headers.get(header, ("", "0"))
            count = int(text.rstrip(",;.").replace(",", "")) if _COUNT.fullmatch(text) else None
            if count is None or count > _MOST:
                raise TraceError(
                    f"{where}: {written} is {text[:40]!a}", hint=f"a whole number such as 9216, at most {_MOST:,}"
                )
            if count:
                return count
        return None

    def _arrival(self, job: str, values: list[float]) -> Arrival | None:
        """The job; None if it is left out, and then it is counted why."""
        submit_s, run_s, allocated, requested, asked_s = values[1], values[3], values[4], values[7], values[8]
        processors = int(requested if requested > 0 else allocated)
        if run_s <= 0 or submit_s < 0 or processors <= 0:
            self.notes[_NO_RUN_TIME if run_s <= 0 else _NO_SUBMIT_TIME if submit_s < 0 else _NO_PROCESSORS] += 1
            return None
        if asked_s <= 0:
            self.notes[_UNTOLD] += 1
        elif run_s > asked_s:
            self.notes[_CUT] += 1
        duration_s = run_s if asked_s <= 0 else min(run_s, asked_s)
        request = self._requests.get(processors)
        if request is None:
            request = self._requests[processors] = Request(pick=processors, cpus=1.0, slots=0)
        return Arrival(
            job=job,
            submit_s=submit_s,
            duration_s=duration_s,
            estimate_s=asked_s if asked_s > 0 else duration_s,
            request=request,
        )


def _values(where: str, line: str, fields: list[str]) -> list[float]:
    """The numbers of a line; `TraceError` if they are too few or too many, or if one is none."""
    if len(fields) != _FIELDS:
        raise TraceError(
            f"{where}: {len(fields)} fields, where the Standard Workload Format has {_FIELDS}",
            hint="`-1` stands for what is not known",
        )
    if line.isascii() and "_" not in line:
        try:
            values = list(map(float, fields))
        except ValueError:
            pass  # said below, with the field
        else:
            if min(values) > -_LARGEST and max(values) < _LARGEST and not math.isnan(sum(values)):
                return values
    return [_value(where, at, text) for at, text in enumerate(fields, start=1)]


def _value(where: str, at: int, text: str) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        value = None
    if value is None or not -_LARGEST < value < _LARGEST:
        raise TraceError(f"{where}: field {at} is {text[:40]!a}", hint="a number; `-1` stands for what is not known")
    return value
