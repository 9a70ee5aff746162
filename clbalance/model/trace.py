"""A trace: jobs with requests and submit times. Frozen values, read by `trace/` and replayed by `policy/queue`."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One job of a trace. Times in seconds of the trace's own clock."""

    job: str
    submit_s: float
    duration_s: float | None
    """None: it never ends."""
    estimate_s: float | None
    """The owner's estimate of its duration, or if there is none its real duration; None: it never ends."""
    request: Request
    priority: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Jobs in the order of `submit_s`."""

    arrivals: tuple[Arrival, ...]
    copies_share_nodes: bool = False
    """Whether several copies of one job may share a node, as processors of a parallel job do."""
    remarks: tuple[str, ...] = ()
    """What the reader left out or changed, one phrase each."""


def in_order_of_submit(arrivals: list[Arrival]) -> tuple[Arrival, ...]:
    """Sorted by `submit_s`; equal times keep their order."""
    return tuple(sorted(arrivals, key=lambda arrival: arrival.submit_s))


def remarks_of(counts: Mapping[str, int]) -> tuple[str, ...]:
    """`counts` of jobs by what happened to them, as one phrase each."""
    return tuple(f"{count} {'job' if count == 1 else 'jobs'} {what}" for what, count in sorted(counts.items()))
