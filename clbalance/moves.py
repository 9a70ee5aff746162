"""A job that is to go on elsewhere: what is asked, and how far it has come (docs/design/rebalance.md). Values."""

from enum import StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName


class MoveStage(StrEnum):
    """How far a move has come; when the next attempt is intended there is no trace of it left."""

    ASKED = "asked"
    """Of who has the job in hand. Nothing has reached the job."""
    MEANT = "meant"
    """From here on the end of the attempt means that the job goes on elsewhere."""
    OFF = "off"
    """It came to nothing, and the job has noticed nothing or runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """That the current attempt of a job is to go on at `dst`, and why."""

    attempt: int
    dst: NodeName
    why: str
    stage: MoveStage = MoveStage.ASKED
    told: str = ""
    """Why it is `OFF`."""
    asked_at_s: float = 0.0
    """Seconds since 1970."""
