"""The files that travel with a job: what is sent to its work folder, and what is returned from there. Frozen values."""

from enum import StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName

WORK_FOLDER = "work"
"""In the job's folder on the node."""
INPUT_FOLDER = "inputs"
"""In the work folder of a slot: what all tasks share. Each task has a folder beside it, named by its number."""
KEPT_S = 30 * 86400.0
"""Results that were not returned are kept on their node for so long after the start of the job; `reap` removes them
then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPath:
    """A file or folder that is sent: `name` below `base` on the submit host, and below the work folder on the node.

    The rest is what was there at the submission, to notice a change.
    """

    base: str
    name: str
    files: int
    size_bytes: int
    newest_ns: int
    """The newest time of a file in it, in nanoseconds since 1970."""

    @property
    def path(self) -> str:
        """Its place on the submit host."""
        return f"{self.base.rstrip('/')}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFiles:
    """The files of one job."""

    sent: tuple[SentPath, ...] = ()
    returned: tuple[str, ...] = ()
    """Patterns of file names in the work folder."""
    into: str = ""
    """The folder here for what is returned, absolute; a pattern as for output files."""
    sent_to_tasks: tuple[SentPath, ...] = ()
    """What each task gets for itself, of a job of tasks: `base` and `name` are patterns with `%t` for its number.

    Files, sizes and times are those of all tasks together. In such a job the patterns of `returned` may have `%t` too.
    """


class ReturnState(StrEnum):
    """Whether the results of one copy are here."""

    PENDING = "pending"
    """The copy has not ended, or its node still has them."""
    COMPLETE = "complete"
    LOST = "lost"
    """They never come: the node has them no more, or the job was started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRecord:
    """The results of one copy. `reason`: why they are not here, or what was left out."""

    job: int
    claim: int
    rank: int
    node: NodeName
    folder: str
    """The job's folder on the node; empty: not known."""
    state: ReturnState = ReturnState.PENDING
    reason: str = ""
    files: int = 0
    """How many were returned."""
    size_bytes: int = 0
