"""Users, by their uids and their processes."""

import os


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def shown_user(uid: int) -> str:
    name = user_name(uid)
    return name if name == "uid %d" % uid else "%s (uid %d)" % (name, uid)


def owner_of_process(pid: int) -> int:
    """The uid; -1 if it is gone."""
    try:
        return os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return -1
