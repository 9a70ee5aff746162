"""How many sessions this process may hold open at once.

One `EMFILE` inside ClusterShell's loop ends the whole fan-out, so the soft limit is raised to the hard one and
the number of sessions is kept within what it allows.
"""

import resource

_FDS_PER_SESSION = 4  # stdin, stdout, stderr, pidfd
_FDS_WHILE_STARTING = 8  # both ends of the pipes of the one being started
_RESERVE = 48  # the interpreter, the database, ClusterShell's own pipes, output files


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard one; the number of sessions that then fit, at least one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # some containers forbid it; the old limit then stands
            pass
    if soft == resource.RLIM_INFINITY:
        return 65536
    return max(1, (soft - _RESERVE - _FDS_WHILE_STARTING) // _FDS_PER_SESSION)
