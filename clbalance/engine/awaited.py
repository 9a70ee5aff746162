"""A node that has been asked and has not answered yet."""

from clbalance.lazy_dataclass import dataclass
from clbalance.probe.frame import Frame


@dataclass(frozen=True, slots=True)
class Awaited:
    """What it has said so far, and when it was asked, by the monotonic clock."""

    frame: Frame
    at: float
