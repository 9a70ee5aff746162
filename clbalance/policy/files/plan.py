"""What must be done so that a target has the files of a source: a manifest of each goes in, a plan comes out. Pure.

The plan names only what is below the top names of the source. Nothing else at the target is touched or deleted.
"""

from collections.abc import Iterator
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import Entry, FileKind, Manifest, parent_of, top_of

_NS = 1_000_000_000


class ChangeKind(Enum):
    """What a plan does to one name."""

    NEW = "new"
    CHANGED = "changed"
    MODE = "mode"
    DELETED = "deleted"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of `--diff`. `before` is what the target has, `after` what the source has; None: nothing."""

    kind: ChangeKind
    before: Entry | None
    after: Entry | None

    @property
    def path(self) -> str:
        """Its name."""
        entry = self.after or self.before
        assert entry is not None
        return entry.path


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """What is done at one target, in this order: delete, make folders, transfer files, set modes and times."""

    delete: tuple[Entry, ...] = ()
    """What the target has and the source has not (`sync`), or has as something else; the deepest names first."""
    folders: tuple[Entry, ...] = ()
    """To make, in order."""
    files: tuple[Entry, ...] = ()
    """New ones and changed ones, to transfer."""
    attributes: tuple[Entry, ...] = ()
    """There, with the right content, but with another mode or, for files, another time."""
    same: tuple[Entry, ...] = ()
    """Files that are left as they are, or get only another mode or time."""
    conflicts: tuple[Change, ...] = ()
    """A folder where a file should be, or the reverse, or a link. Without `sync` nothing is done to them."""
    changes: tuple[Change, ...] = ()
    """All of the above but `same`, by name: what `--diff` shows."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do; conflicts are nothing that can be done."""
        return not (self.delete or self.folders or self.files or self.attributes)

    @property
    def size(self) -> int:
        """Bytes to transfer."""
        return sum(entry.size for entry in self.files)


def plan_copy(source: Manifest, target: Manifest, *, checksum: bool = False, sync: bool = False) -> FilePlan:
    """The plan that makes `target` have the files of `source`.

    A file is the same if size and time are, or with `checksum` its content. `sync`: what only the target has is
    deleted, below the folders of the source; and so is what is in the way.
    """
    changes: list[Change] = []
    same: list[Entry] = []
    blocked: set[str] = set()
    for entry in source:
        found = target.entries.get(entry.path)
        if parent_of(entry.path) in blocked:
            blocked.add(entry.path)
            continue
        change = _change(entry, found, checksum=checksum)
        if change is not None:
            changes.append(change)
        if change is not None and change.kind is ChangeKind.CONFLICT and not sync:
            blocked.add(entry.path)
        if entry.kind is FileKind.FILE and (change is None or change.kind is ChangeKind.MODE):
            same.append(entry)
    if sync:
        changes += _only_there(source, target)
    return _planned(changes, tuple(same), sync=sync)


def _change(entry: Entry, found: Entry | None, *, checksum: bool) -> Change | None:
    if found is None:
        return Change(kind=ChangeKind.NEW, before=None, after=entry)
    if found.kind is not entry.kind:
        return Change(kind=ChangeKind.CONFLICT, before=found, after=entry)
    if entry.kind is FileKind.FILE and not _has_content(entry, found, checksum=checksum):
        return Change(kind=ChangeKind.CHANGED, before=found, after=entry)
    # The time of a folder changes with each file in it: it is set when the folder is made, and not compared.
    is_timed = entry.kind is FileKind.FOLDER or _same_time(entry.mtime_ns, found.mtime_ns)
    if entry.mode == found.mode and is_timed:
        return None
    return Change(kind=ChangeKind.MODE, before=found, after=entry)


def _has_content(entry: Entry, found: Entry, *, checksum: bool) -> bool:
    if entry.size != found.size:
        return False
    if checksum:
        return entry.sha256 is not None and entry.sha256 == found.sha256
    return _same_time(entry.mtime_ns, found.mtime_ns)


def _same_time(one: int, other: int) -> bool:
    """Whether two times are the same; to the second if one side keeps no more, as SFTP and some file systems do."""
    return one == other or (one // _NS == other // _NS and (one % _NS == 0 or other % _NS == 0))


def _only_there(source: Manifest, target: Manifest) -> Iterator[Change]:
    """What only the target has, below the folders that are folders in the source.

    What is in a folder that gives way to a file comes too: the folder must be empty to be removed.
    """
    tops = {entry.path for entry in source if "/" not in entry.path}
    for found in target:
        if found.path not in source.entries and top_of(found.path) in tops:
            yield Change(kind=ChangeKind.DELETED, before=found, after=None)


def _planned(changes: list[Change], same: tuple[Entry, ...], *, sync: bool) -> FilePlan:
    delete: list[Entry] = []
    made: list[Entry] = []
    conflicts: list[Change] = []
    attributes: list[Entry] = []
    changes = sorted(changes, key=lambda one: one.path.replace("/", "\0"))
    for change in changes:
        if change.kind is ChangeKind.CONFLICT and not sync:
            conflicts.append(change)
            continue
        if change.kind in {ChangeKind.DELETED, ChangeKind.CONFLICT} and change.before is not None:
            delete.append(change.before)
        if change.after is not None:
            (attributes if change.kind is ChangeKind.MODE else made).append(change.after)
    return FilePlan(
        delete=tuple(reversed(delete)),
        folders=tuple(entry for entry in made if entry.kind is FileKind.FOLDER),
        files=tuple(entry for entry in made if entry.kind is FileKind.FILE),
        attributes=tuple(attributes),
        same=same,
        conflicts=tuple(conflicts),
        changes=tuple(changes),
    )
