"""Who else could put another file in the place of ours, or lay a trap there for us."""

import os
import stat


def others_write(folder: os.stat_result) -> str | None:
    """Why names in a folder may mean what somebody else wants them to; None: only root and we can change them.

    The sticky bit does not help: it keeps what is there, and lets everybody add what is not.
    """
    if folder.st_uid not in {0, os.geteuid()}:
        return f"its folder belongs to {user_name(folder.st_uid)}"
    if folder.st_mode & stat.S_IWOTH:
        return "everybody may write to its folder"
    if folder.st_mode & stat.S_IWGRP and not _is_own_group(folder.st_gid):
        return f"group {_group_name(folder.st_gid)} may write to its folder"
    return None


def is_trap(folder: os.stat_result, file: os.stat_result) -> str | None:
    """Why a file or FIFO in a folder that everybody may write to is not appended to, as with `fs.protected_regular`."""
    if not folder.st_mode & stat.S_IWOTH:
        return None
    if file.st_uid not in {0, os.geteuid()}:
        return f"it belongs to {user_name(file.st_uid)}, in a folder that everybody may write to"
    if file.st_nlink > 1:
        return "it has another name elsewhere, in a folder that everybody may write to"
    return None


def user_name(uid: int) -> str:
    """A name where there is one."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _is_own_group(gid: int) -> bool:
    """Whether it is the group of one user that many systems make, whose umask is then 002. Root's never is one."""
    if os.geteuid() == 0:
        return False
    import grp
    import pwd

    try:
        me, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return me.pw_gid == gid and group.gr_name == me.pw_name and set(group.gr_mem) <= {me.pw_name}
