"""What `copy` is asked to do. What became of it is a `model.files.FilesResult` for each node."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import Manifest


class FileError(Exception):
    """One file that cannot be read or written, with its reason. The others go on."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """What is copied, where to, and how."""

    sources: tuple[tuple[str, Manifest], ...]
    """Each source as a path of this machine, and what is in it: names begin with the last part of the path."""
    destination: str
    """On the nodes, relative to the home folder there. It is a folder if it exists or ends with `/`, or if there are
    several sources; otherwise the name of the one source."""
    checksum: bool = False
    """Compare by content, not by size and time."""
    sync: bool = False
    """Delete what is not in the sources, below folders that are copied."""
    only_compare: bool = False
    """Change nothing: `FileListener.planned` is told what would be done."""
    into_shared_folder: bool = False
    """Root may write to folders that others may write to."""
