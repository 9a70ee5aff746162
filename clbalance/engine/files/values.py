"""What `copy` is asked, and what became of it on each node."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """How files are copied to nodes."""

    checksum: bool = False
    """Compare by content, not by size and time."""
    delete: bool = False
    """`--sync`: delete what is not in the source, below folders that are copied."""
    dry_run: bool = False
    """Only compare: `NodeFiles.plan` is what would be done."""
    into_shared_folder: bool = False
    """Root may write to folders that others may write to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailure:
    """A file, or folder, that could not be transferred. The others were."""

    path: bytes
    """Relative to the destination. It may hold any bytes: show it through `render.text`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """What became of a transfer on one node. `cause` is None if the node did its part, apart from `failures`."""

    node: NodeName
    sent: int = 0
    """Files that are whole and in place now, and were not before."""
    sent_bytes: int = 0
    same: int = 0
    deleted: int = 0
    failures: tuple[FileFailure, ...] = ()
    cause: Cause | None = None
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether all of it was done."""
        return self.cause is None and not self.failures
