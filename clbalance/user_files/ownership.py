"""Whether other users could exchange a file of ours, or have prepared one as a trap."""

import os
import stat


def others_write(folder: os.stat_result) -> str | None:
    """Why others can change names in a folder; None if only root and we can.

    The sticky bit does not help: it protects existing names, but lets everybody add new ones.
    """
    if folder.st_uid not in {0, os.geteuid()}:
        return f"its folder belongs to {user_name(folder.st_uid)}"
    if folder.st_mode & stat.S_IWOTH:
        return "everybody may write to its folder"
    if folder.st_mode & stat.S_IWGRP and not _is_own_group(folder.st_gid):
        return f"group {_group_name(folder.st_gid)} may write to its folder"
    return None


def is_trap(folder: os.stat_result, file: os.stat_result) -> str | None:
    """Why we do not append to this file or FIFO in a world-writable folder (as `fs.protected_regular`); else None."""
    if not folder.st_mode & stat.S_IWOTH:
        return None
    if file.st_uid not in {0, os.geteuid()}:
        return f"it belongs to {user_name(file.st_uid)}, in a folder that everybody may write to"
    if file.st_nlink > 1:
        return "it has another name elsewhere, in a folder that everybody may write to"
    return None


def user_name(uid: int) -> str:
    """The user's name, or `uid N` if there is none."""
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
    """Whether it is our private group, as many systems make one per user (with umask 002). Root has none."""
    if os.geteuid() == 0:
        return False
    import grp
    import pwd

    try:
        me, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return me.pw_gid == gid and group.gr_name == me.pw_name and set(group.gr_mem) <= {me.pw_name}
