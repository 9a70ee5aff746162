"""Findings about a node's job folder: whether jobs can be kept there, and whether a name in it is free. Pure.

The agent chooses the folder (`node/agent/protocol.py`); this module makes the same choice.
"""

import re
from collections.abc import Iterator
from stat import S_IMODE, S_ISDIR, S_ISLNK
from typing import Final, assert_never

from clbalance.model import TmpSpace, Unknown
from clbalance.model.checkup import Entry, Finding, Folder, Mount, NodeFolders, note, wrong
from clbalance.units import counted

CHECK: Final = "node_dir"

_MADE = "/var/lib/clbalance"
_FOR_EVERYONE = 0o1777
_PREPARED = 0o755
_FIT = {_FOR_EVERYONE, _PREPARED}
_STICKY = 0o1000
_OTHERS_WRITE = 0o022
_ANYONE_WRITES = 0o002
# Private folders of systemd's PrivateTmp and of pam_namespace, by its manual (`tmp.inst`, `tmp-inst`).
_PRIVATE = re.compile(r"(?:^|/)(?:systemd-private-[^/]*|[^/]*[.-]inst)(?:/|$)")
_FULL_BYTES = 16 << 20
_SCARCE_BYTES = 256 << 20
_FULL_INODES = 64  # a job has about a dozen files and folders
_MAKE_ONE = f"give the node one on a disk of its own, as root there: `mkdir -m 1777 {_MADE}`"


def folder_findings(folders: NodeFolders, uid: int | Unknown) -> Iterator[Finding]:
    """Findings about the folder that the agent would use, and about a better one that it skips."""
    if folders.named is None and isinstance(folders.made, Folder) and _roots_mode(folders.made) not in _FIT:
        yield _passed_over(folders.made)
    match _taken(folders):
        case None:
            yield wrong(CHECK, "there is no /var/tmp, and no other folder for jobs", _MAKE_ONE)
        case Unknown(reason=reason):
            hint = f"`ssh {{node}} ls -ld /var/tmp {_MADE}` shows it, or hangs as well"
            yield wrong(CHECK, f"the folder for jobs cannot be looked at: {reason}", hint)
        case Folder() as folder:
            is_ours = folders.named is not None and folder.entry.uid == uid
            is_prepared = folder is folders.made and _roots_mode(folder) == _PREPARED
            yield from _mount(folder)
            yield from () if is_prepared else _rights(folder, is_ours=is_ours)
            yield from _space(folder)
            if not isinstance(uid, Unknown):
                yield from _prepared_home(folder, uid) if is_prepared else home_findings(CHECK, folder, uid)
        case _ as never:
            assert_never(never)


def _taken(folders: NodeFolders) -> Folder | Unknown | None:
    if folders.named is not None:
        return folders.named
    match folders.made:
        case Folder() as made if _roots_mode(made) in _FIT:
            return made
        case Unknown() as unknown:
            return unknown
        case _:
            return folders.usual


def _roots_mode(made: Folder) -> int | None:
    """The mode of a folder of root's; None if it is none."""
    mode = made.entry.mode
    return S_IMODE(mode) if not made.is_link and S_ISDIR(mode) and made.entry.uid == 0 else None


def _passed_over(made: Folder) -> Finding:
    reason = "a link" if made.is_link else f"mode {S_IMODE(made.entry.mode):04o} of uid {made.entry.uid}"
    hint = f"as root there: `chown root {_MADE}; chmod 1777 {_MADE}`, or remove it"
    return note(CHECK, f"{_MADE} is {reason}, so /var/tmp is used in its place", hint)


def _mount(folder: Folder) -> Iterator[Finding]:
    match folder.mount:
        case Unknown(reason=reason):
            yield note(CHECK, f"the file system of {folder.path} is unknown: {reason}", "`ssh {node} df -T` shows it")
        case Mount(type=kind) if kind in NETWORK_FILE_SYSTEMS:
            yield wrong(CHECK, f"{folder.path} is on {kind}, where locks cannot be relied on", _MAKE_ONE)
        case Mount(root=root) if _PRIVATE.search(root):
            what = f"{folder.path} is private to each login (PrivateTmp or pam_namespace): nobody sees leases in it"
            yield wrong(CHECK, what, _MAKE_ONE)
        case Mount(type="tmpfs"):
            what = f"{folder.path} is in memory (tmpfs): job folders take memory, and go with a reboot"
            yield note(CHECK, what, _MAKE_ONE)
        case Mount():
            pass
        case _:
            assert_never(folder.mount)


def _rights(folder: Folder, *, is_ours: bool) -> Iterator[Finding]:
    """`is_ours`: the lab's folder, which may belong to the caller."""
    mode, owner, path = S_IMODE(folder.entry.mode), folder.entry.uid, folder.path
    mend = f"as root there: `chown root {path}; chmod 1777 {path}`"
    if not folder.writable:
        yield wrong(CHECK, f"you may not write to {path} (mode {mode:04o} of uid {owner})", f"{mend}; is it read-only?")
    if owner != 0 and not is_ours:
        yield wrong(CHECK, f"{path} belongs to uid {owner}, who can take its locks and leases away", mend)
    if mode & _OTHERS_WRITE and not mode & _STICKY:
        yield wrong(CHECK, f"{path} has no sticky bit (mode {mode:04o}): anyone can remove your jobs' folders", mend)
    if folder.writable and not mode & _ANYONE_WRITES and not is_ours:
        yield note(CHECK, f"{path} is not for everyone (mode {mode:04o}): other users have no jobs there", mend)


def _space(folder: Folder) -> Iterator[Finding]:
    hint = f"`ssh {{node}} du -xsh {folder.path}/*` shows what takes it"
    match folder.space:
        case Unknown(reason=reason):
            yield note(CHECK, f"free space in {folder.path} is unknown: {reason}", f"`ssh {{node}} df {folder.path}`")
        case TmpSpace(free_bytes=free) if free < _SCARCE_BYTES:
            judge = wrong if free < _FULL_BYTES else note
            yield judge(CHECK, f"only {free >> 20} MiB free in {folder.path}", hint)
        case TmpSpace():
            pass
        case _:
            assert_never(folder.space)
    if folder.free_inodes is not None and folder.free_inodes < _FULL_INODES:
        yield wrong(
            CHECK,
            f"only {counted(folder.free_inodes, 'inode')} free in {folder.path}",
            f"`ssh {{node}} df -i {folder.path}`",
        )


# -- names for our own folder in the node folder, which any user can occupy
#
# The agent tries `clbalance-<uid>`, then `clbalance-<uid>-1` and so on to 9 (`node/agent/folder.py`).

NAMES = 10
_RIGHTS = 0o755


def home_findings(check: str, folder: Folder, uid: int) -> Iterator[Finding]:
    """Findings about unusable names; only notes while a usable name is left."""
    own = f"{folder.path}/clbalance-{uid}"
    names = [own, *(f"{own}-{number}" for number in range(1, NAMES))]
    there = {home.path: home for home in folder.homes}
    for name in names:
        home = there.get(name)
        if home is None or _is_fit(home, uid):
            return
        yield note(check, f"{name} cannot be your folder: {_why(home, uid)}; the next name is taken", _hint(home, uid))
    hint = f"`ssh {{node}} ls -ld '{own}*'` shows whose they are; root can move them away"
    yield wrong(check, f"{own} and the {NAMES - 1} names after it are all taken", hint)


def _prepared_home(folder: Folder, uid: int) -> Iterator[Finding]:
    """A finding if root has prepared a folder for each user, and there is none for this one. Root makes its own."""
    own = f"{folder.path}/clbalance-{uid}"
    if uid and not any(_is_fit(home, uid) for home in folder.homes):
        hint = f"as root there: `install -d -o {uid} -m 755 {own}`"
        yield wrong(CHECK, f"{folder.path} is prepared for named users, and has no folder for uid {uid}", hint)


def _is_fit(home: Entry, uid: int) -> bool:
    return S_ISDIR(home.mode) and home.uid == uid and not S_IMODE(home.mode) & ~_RIGHTS


def _why(home: Entry, uid: int) -> str:
    if S_ISLNK(home.mode):
        return "it is a link"
    if not S_ISDIR(home.mode):
        return "it is no folder"
    if home.uid != uid:
        return f"it belongs to uid {home.uid}"
    return f"others may write to it (mode {S_IMODE(home.mode):04o})"


def _hint(home: Entry, uid: int) -> str:
    if home.uid != uid:
        return f"ask uid {home.uid}, or as root there: `mv {home.path} {home.path}.squatted`"
    if S_ISDIR(home.mode):
        return f"`ssh {{node}} chmod 755 {home.path}`"
    return f"`ssh {{node}} rm {home.path}`"


# -- file systems on which jobs must not be kept

# The same list as in `store/location.py`, for this host; a test compares the two.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "smbfs", "9p", "afs", "coda"),
        *("glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.beegfs", "fuse.juicefs"),
        *("fuse.mfs", "fuse.moosefs", "fuse.s3fs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.davfs2"),
    }
)
"""File system types whose locks go over a network, or do not work at all."""
