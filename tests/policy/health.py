"""A case language: a node in good health, and one thing that is not."""

from dataclasses import replace

from clbalance.model import NodeName, Reading, TmpSpace, Unknown
from clbalance.model.checkup import Checkup, Entry, Examined, Folder, Logind, Mount, NodeFolders, Python, SshdLimits

from .build import node

ME = 1000
READING = node("n").reading
FOLDER, LINK, FILE = 0o040000, 0o120000, 0o100000
MIB = 1 << 20
LOST = Unknown(reason="timed out")


def entry(path: str, mode: int = FOLDER | 0o1777, uid: int = 0) -> Entry:
    return Entry(path=path, uid=uid, mode=mode)


def folder(path: str = "/var/tmp", mode: int = 0o1777, uid: int = 0, **changes: object) -> Folder:
    """One that is as it should be."""
    plain = Folder(
        path=path,
        real=path,
        entry=entry(path, FOLDER | mode, uid),
        is_link=False,
        writable=True,
        homes=(),
        mount=Mount(root="/", point="/", type="ext4"),
        space=TmpSpace(path=path, total_bytes=1 << 40, free_bytes=1 << 39),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own table


def mounted(kind: str = "ext4", root: str = "/", point: str = "/var/tmp") -> NodeFolders:
    return usual(mount=Mount(root=root, point=point, type=kind))


def usual(**changes: object) -> NodeFolders:
    """No folder of an administrator's, and this `/var/tmp`."""
    return NodeFolders(usual=folder(**changes))  # type: ignore[arg-type]  # passed on as given


def homes(*entries: Entry) -> NodeFolders:
    return usual(homes=entries)


def free(mib: int) -> NodeFolders:
    return usual(space=TmpSpace(path="/var/tmp", total_bytes=1 << 40, free_bytes=mib * MIB))


def checkup(**changes: object) -> Checkup:
    plain = Checkup(
        uid=ME,
        folders=usual(),
        python=Python(path="/usr/bin/python3", version=(3, 11, 2)),
        logind=Logind(kills_user_processes=False, lingers=False),
        sshd=SshdLimits(max_sessions=10, max_startups=10),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own table


def examined(
    node: str = "n",
    clock_offset_s: float | Unknown = 0.0,
    reading: Reading | Unknown = READING,
    **changes: object,
) -> Examined:
    return Examined(node=NodeName(node), checkup=checkup(**changes), reading=reading, clock_offset_s=clock_offset_s)


def reads(**changes: object) -> Reading:
    """The reading of a node in good health, but for these parts."""
    return replace(READING, **changes)  # type: ignore[arg-type]  # a test's own table
