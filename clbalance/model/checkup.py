"""The frozen values of a check-up, and what jobs have left on nodes, as the nodes tell it.

As in `model`, what could not be learned is `Unknown(reason)`. Nothing here does input or output.
"""

from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Silent, TmpSpace, Unknown

# -- what a node tells ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in the file system as stat(2) has it; `mode` with the kind of file in it."""

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
    """The same without links."""
    entry: Entry
    is_link: bool
    writable: bool
    """For whom we are there, as the kernel says."""
    homes: tuple[Entry, ...]
    """Those of the names that are meant for our own folder in it that exist, in the order in which they are tried."""
    mount: Mount | Unknown
    space: TmpSpace | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolders:
    """The candidates for the node folder; None: there is no such folder."""

    named: Folder | Unknown | None = None
    """By `CLBALANCE_NODE_DIR`, in the lab only: then it is the only one."""
    made: Folder | Unknown | None = None
    """By an administrator."""
    usual: Folder | Unknown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The `python3` on the node's PATH."""

    path: str
    version: tuple[int, int, int] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Logind:
    """What becomes of processes at logout."""

    kills_user_processes: bool | Unknown
    lingers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SshdLimits:
    """As far as they can be seen; None: they cannot."""

    max_sessions: int | None = None
    """On one connection."""
    max_startups: int | None = None
    """Logins at once from which on sshd begins to refuse some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Everything that one check-up learned of one node; each part stands or falls alone."""

    uid: int | Unknown
    folders: NodeFolders
    python: Python | Unknown | None
    """None: none on the PATH."""
    logind: Logind | Unknown | None
    """None: there is no logind."""
    sshd: SshdLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A node that answered; its clock is at least `clock_offset_s` ahead of ours, 0 where it may be right."""

    node: NodeName
    checkup: Checkup
    clock_offset_s: float | Unknown


Examination: TypeAlias = Examined | Silent


# -- what was found ---------------------------------------------------------------------------------


class Severity(StrEnum):
    """Whether work is stopped or lost by it."""

    WRONG = "wrong"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be, and what to type; `node` None: on this host.

    `{node}` in the hint stands for the node's name, so that equal findings of several nodes stay equal.
    """

    check: str
    severity: Severity
    what: str
    hint: str
    node: NodeName | None = None


def wrong(check: str, what: str, hint: str) -> Finding:
    """What stops or loses work."""
    return Finding(check=check, severity=Severity.WRONG, what=what, hint=hint)


def note(check: str, what: str, hint: str) -> Finding:
    """What is worth knowing."""
    return Finding(check=check, severity=Severity.NOTE, what=what, hint=hint)


# What jobs have left on nodes, as the nodes tell it. Frozen values; no input or output.


class LeftoverKind(StrEnum):
    """Of what sort it is (docs/design/reap.md)."""

    PROCESSES = "processes"
    LEASE = "lease"
    HALF = "half"
    JOB = "job"
    BOOT = "boot"
    CLAIM = "claim"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing that nobody needs any more; `reason` it is still there, although it should not be."""

    kind: LeftoverKind
    name: str
    size_bytes: int
    pids: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What one node has found, and taken away if told to; `cause` and `reason` where it did not answer to the end."""

    node: NodeName
    found: tuple[Leftover, ...] = ()
    cause: Cause | None = None
    reason: str = ""

    @property
    def answered(self) -> bool:
        """Whether this is all that there is."""
        return self.cause is None and not self.reason
