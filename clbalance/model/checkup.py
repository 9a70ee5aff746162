"""Frozen values of `doctor` and `reap`: the check-up of a node, findings, and leftovers of jobs on nodes.

As in `model`, a part that could not be read is `Unknown(reason)`. Nothing here does input or output.
"""

from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Reading, Silent, TmpSpace, Unknown
from clbalance.model.plugins import NO_SITE_READING, SiteReading

# -- the answer of a node ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in the file system, by stat(2); `mode` includes the file type."""

    path: str
    uid: int
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """The mount that a folder lies on: its root within the file system, where it is mounted, and of what type."""

    root: str
    point: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder in which jobs may be kept."""

    path: str
    real: str
    """`path` with its symbolic links resolved."""
    entry: Entry
    is_link: bool
    writable: bool
    """Whether our user on the node can write to it, by the kernel."""
    homes: tuple[Entry, ...]
    """The existing names that our own folder in it may have, in the order in which the agent tries them."""
    mount: Mount | Unknown
    space: TmpSpace | Unknown
    free_inodes: int | None = None
    """How many more files it has room for; None: not told, or no fixed number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolders:
    """The candidates for the node folder; None: there is no such folder."""

    named: Folder | Unknown | None = None
    """Named by `CLBALANCE_NODE_DIR`, in the lab only; it is then the only candidate."""
    made: Folder | Unknown | None = None
    """Made by an administrator."""
    usual: Folder | Unknown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The `python3` on the node's PATH."""

    path: str
    version: tuple[int, int, int] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Logind:
    """What happens to a user's processes at logout."""

    kills_user_processes: bool | Unknown
    lingers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SshdLimits:
    """sshd's limits; None: the limit could not be read."""

    max_sessions: int | None = None
    """Sessions on one connection."""
    max_startups: int | None = None
    """Number of concurrent logins at which sshd begins to refuse some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """The results of one check-up of one node; each part is known or unknown by itself."""

    uid: int | Unknown
    folders: NodeFolders
    python: Python | Unknown | None
    """None: there is no `python3` on the PATH."""
    logind: Logind | Unknown | None
    """None: there is no logind."""
    sshd: SshdLimits
    input_is_whole: bool = True
    """Whether all that was sent to the node's shell has reached it; a start-up file may have read some of it."""
    missing_home: str | Unknown = ""
    """The path of our home there if it does not exist; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A node that answered. `clock_offset_s`: its clock is at least that much ahead of ours (negative: behind)."""

    node: NodeName
    checkup: Checkup
    reading: Reading | Unknown
    clock_offset_s: float | Unknown
    site: SiteReading = NO_SITE_READING


Examination: TypeAlias = Examined | Silent


# -- findings ---------------------------------------------------------------------------------------


class Severity(StrEnum):
    """`WRONG` stops or loses work; `NOTE` does not."""

    WRONG = "wrong"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem, and what to type about it; `node` None: on this host.

    `{node}` in the hint stands for the node's name, so that the same problem on several nodes makes equal findings.
    """

    check: str
    severity: Severity
    what: str
    hint: str
    node: NodeName | None = None


def wrong(check: str, what: str, hint: str) -> Finding:
    """A finding that stops or loses work."""
    return Finding(check=check, severity=Severity.WRONG, what=what, hint=hint)


def note(check: str, what: str, hint: str) -> Finding:
    """A finding that is only worth knowing."""
    return Finding(check=check, severity=Severity.NOTE, what=what, hint=hint)


# -- leftovers of jobs on nodes ---------------------------------------------------------------------


class LeftoverKind(StrEnum):
    """Kinds of leftovers (docs/design/reap.md)."""

    PROCESSES = "processes"
    LEASE = "lease"
    HALF = "half"
    JOB = "job"
    BOOT = "boot"
    CLAIM = "claim"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing that no job needs any more; `reason`: why it could not be removed."""

    kind: LeftoverKind
    name: str
    size_bytes: int
    pids: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What one node found, and removed if asked to; `cause` and `reason` are set if the answer is incomplete."""

    node: NodeName
    found: tuple[Leftover, ...] = ()
    cause: Cause | None = None
    reason: str = ""

    @property
    def answered(self) -> bool:
        """Whether the answer is complete."""
        return self.cause is None and not self.reason
