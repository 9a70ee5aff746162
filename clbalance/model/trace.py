"""What a trace asks for and when: frozen values between those that read traces and those that replay them."""

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
    """How long its owner said it would take, or where he did not, how long it took; None: for ever."""
    request: Request
    priority: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Jobs in the order of `submit_s`."""

    arrivals: tuple[Arrival, ...]
    copies_share_nodes: bool = False
    """Whether several copies of one job may be on one node, as processors of a parallel job may."""
    remarks: tuple[str, ...] = ()
    """What was left out or changed in reading it, each a phrase."""


def in_order_of_submit(arrivals: list[Arrival]) -> tuple[Arrival, ...]:
    """Sorted by `submit_s`, equals as they came."""
    return tuple(sorted(arrivals, key=lambda arrival: arrival.submit_s))


def remarks_of(counts: Mapping[str, int]) -> tuple[str, ...]:
    """How many jobs what happened to, a phrase each."""
    return tuple(f"{count} {'job' if count == 1 else 'jobs'} {what}" for what, count in sorted(counts.items()))
