"""What `copy` is asked to do, and what goes wrong. What became of it is a `model.files.FilesResult` for each node."""

from collections.abc import Mapping, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import Manifest
from clbalance.policy.files.plan import Change, FilePlan
from clbalance.user_files.trees import SourceTree


class FileError(Exception):
    """One file that cannot be read or written, with its reason. The others go on."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NodeRefusedError(Exception):
    """The node can do nothing of what is asked, with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or folder of this machine that is copied."""

    tree: SourceTree
    """Open for as long as it is copied."""
    manifest: Manifest
    """What it holds: names begin with `tree.name`."""
    only_content: bool = False
    """The folder was typed with `/` at its end: what is in it goes into the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """What is copied, where to, and how."""

    sources: tuple[Source, ...]
    """Their names differ. One whose content alone is meant is the only one."""
    destination: str
    """On the nodes, relative to the home folder there. It is a folder if it exists or ends with `/`, or if there are
    several sources; otherwise the name of the one source."""
    checksum: bool = False
    """Compare by content, not by size and time."""
    sync: bool = False
    """Delete what is not in the sources, below folders that are copied."""
    may_delete: Mapping[NodeName, frozenset[str]] | None = None
    """The names that may be deleted on each node, as the user was told. None: all that `sync` deletes."""
    only_compare: bool = False
    """Change nothing: `FileListener.planned` is told what would be done."""
    into_shared_folder: bool = False
    """Root may write to folders that others may write to."""

    @property
    def is_into_folder(self) -> bool:
        """Whether the destination must be a folder."""
        several = len(self.sources) > 1 or any(source.only_content for source in self.sources)
        return several or self.destination.endswith("/")


def check_deletions(plan: FilePlan, may_delete: Mapping[NodeName, frozenset[str]] | None, node: NodeName) -> None:
    """`NodeRefusedError` if something would be deleted that has come since the user was asked."""
    if may_delete is not None:
        for entry in plan.delete:
            if entry.path not in may_delete[node]:
                raise NodeRefusedError(f"{entry.path!r} has come meanwhile, and would be deleted: nothing was changed")


def conflict_reason(change: Change) -> str:
    """Why a conflict is one, in words."""
    return "nothing is there" if change.before is None else f"a {change.before.kind.value} is there"


def failure_of(problems: Sequence[FileError]) -> str | None:
    """What failed on a node, in one line; None: nothing."""
    if not problems:
        return None
    more = f"; {len(problems) - 1} more failed" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"
