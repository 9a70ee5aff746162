"""Files and folders that are copied between this machine and nodes: their names, facts and manifests.

A name is relative to the place that the user named, and safe: it never leads out of it. Both ends check each name that
comes from the other one. Bytes that are no UTF-8 are kept by `surrogateescape`, as Python does for file names.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName

MOST_ENTRIES = 1_000_000
"""Files and folders in one manifest: about 300 MB of memory here."""
MOST_NAME_BYTES = 4095  # PATH_MAX without its NUL
MOST_PART_BYTES = 255  # NAME_MAX of all usual file systems
MOST_DEPTH = 64

_MODE_BITS = 0o777
_TEMPORARY = ".clbalance-"


class FileKind(Enum):
    """What is under a name. Only files and folders are copied."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "device, socket or FIFO"


class ManifestError(ValueError):
    """A list of files breaks the rules: a name that leads elsewhere, the same name twice, too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file or folder. `path` is relative and safe (`unsafe_name`)."""

    path: str
    kind: FileKind
    size: int = 0
    """Bytes of a file; 0 of all else."""
    mtime_ns: int = 0
    mode: int = 0o644
    """Permissions, never with setuid, setgid or sticky bit (`safe_mode`)."""
    sha256: str | None = None
    """In hex, of a file's content; None: not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A name in a source that is not copied, and why."""

    path: str
    reason: str


def safe_mode(mode: int) -> int:
    """The permissions in `mode`, without file type, setuid, setgid and sticky bit."""
    return mode & _MODE_BITS


def unsafe_name(path: str) -> str | None:
    """Why `path` is no safe relative name; None if it is one."""
    try:
        name = os_bytes(path)
    except UnicodeEncodeError:
        return "it is no file name"
    parts = name.split(b"/")
    rules = (
        (not name, "it is empty"),
        (not parts[0], "it is absolute"),
        (b"" in parts, "it has an empty part"),
        (b"." in parts or b".." in parts, "it has `.` or `..` as a part"),
        (b"\0" in name, "it has a NUL"),
        (len(name) > MOST_NAME_BYTES or max(map(len, parts)) > MOST_PART_BYTES, "it is too long"),
        (len(parts) > MOST_DEPTH, f"it is more than {MOST_DEPTH} folders deep"),
    )
    return next((reason for is_broken, reason in rules if is_broken), None)


def os_bytes(path: str) -> bytes:
    """The bytes of a file name, as the kernel knows it; `UnicodeEncodeError` if no name decodes to `path`."""
    return path.encode("utf-8", "surrogateescape")


def is_temporary(path: str) -> bool:
    """Whether the last part of `path` is the name of a file that a copy has not finished."""
    return path.rpartition("/")[2].startswith(_TEMPORARY) and path.endswith(".tmp")


def temporary_name(random: bytes) -> str:
    """A name for an unfinished file, beside its final name."""
    return f"{_TEMPORARY}{random.hex()}.tmp"


def parent_of(path: str) -> str:
    """The folder of `path`; empty for a name at the top."""
    return path.rpartition("/")[0]


def top_of(path: str) -> str:
    """The first part of `path`."""
    return path.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Files and folders by their names, sorted: a folder comes before what is in it."""

    entries: Mapping[str, Entry]

    @classmethod
    def of(cls, entries: Iterable[Entry], *, most: int = MOST_ENTRIES) -> "Manifest":
        """The manifest of these, in any order; `ManifestError` if one breaks the rules."""
        found: dict[str, Entry] = {}
        for entry in entries:
            if reason := unsafe_name(entry.path):
                raise ManifestError(f"the name {entry.path[:200]!r} is refused: {reason}")
            if entry.path in found:
                raise ManifestError(f"the name {entry.path!r} comes twice")
            if len(found) >= most:
                raise ManifestError(f"more than {most:,} files and folders")
            found[entry.path] = entry
        for path in found:
            parent = parent_of(path)
            if parent and (parent not in found or found[parent].kind is not FileKind.FOLDER):
                raise ManifestError(f"{path!r} is in no folder of the list")
        return cls(entries={path: found[path] for path in sorted(found, key=_by_parts)})

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self if entry.kind is FileKind.FILE)


def _by_parts(path: str) -> str:
    """Sorts `a/b` before `a-b`: what is in a folder follows it at once."""
    return path.replace("/", "\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesResult:
    """How the copying to or from one node ended."""

    node: NodeName
    sent: int = 0
    """Files whose content was transferred, in either direction."""
    sent_bytes: int = 0
    same: int = 0
    """Files that were there already."""
    folders: int = 0
    """Folders that were made."""
    deleted: int = 0
    elapsed_s: float = 0.0
    failure: str | None = None
    """Why it failed, without the node's name; None: all is there."""
    warnings: tuple[str, ...] = ()
    """What was left out, and why."""
