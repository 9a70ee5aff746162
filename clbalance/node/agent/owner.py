"""An administrator's agent becomes the agent of a job's owner (docs/design/administrator.md)."""

import os
import sys

from clbalance.node.stdlib import suppress


def become(uid: int) -> None:
    """Give up root for that user, for good. An agent of another user stays what it is, and the client refuses it."""
    if os.geteuid() != 0 or uid == 0:
        return
    import pwd

    user, home, gid = str(uid), "/", uid  # if he has no account here any more
    with suppress(KeyError):
        entry = pwd.getpwuid(uid)
        user, home, gid = entry.pw_name, entry.pw_dir, entry.pw_gid
    try:
        os.chdir("/")
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        sys.exit("cannot become uid %d: %s" % (uid, os.strerror(error.errno or 0)))
    with suppress(OSError):
        os.setuid(0)  # must fail
    if (os.getresuid(), os.getresgid(), os.getgroups()) != ((uid,) * 3, (gid,) * 3, []):
        sys.exit("has not become uid %d alone" % uid)
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("CLBALANCE_")}
    os.environ.clear()
    os.environ.update(kept, HOME=home, USER=user, LOGNAME=user)
