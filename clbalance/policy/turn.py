"""Whether it is a queued job's turn, by the jobs that it comes after. Pure."""

from collections.abc import Mapping
from enum import Enum

from clbalance.job import JobRecord, JobState
from clbalance.lazy_dataclass import dataclass


class When(Enum):
    """May it be started?"""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`reason`: why not now; empty where it may."""

    when: When
    reason: str = ""


def turn(before: Mapping[int, JobRecord | None]) -> Turn:
    """By what is known of the jobs before it; None: that one is not remembered."""
    for number, record in before.items():
        if record is None:
            return Turn(when=When.NEVER, reason=f"after job {number}, which is not remembered")
        if record.state.is_over and record.state is not JobState.COMPLETED:
            told = f": {record.reason}" if record.reason else ""
            return Turn(when=When.NEVER, reason=f"after job {number}, which is {record.state}{told}")
    open_ones = [number for number, record in before.items() if record is not None and not record.state.is_over]
    if open_ones:
        return Turn(when=When.LATER, reason=f"after job {', '.join(map(str, open_ones))}")
    return Turn(when=When.NOW)
