"""What still runs of jobs that have ended: processes that a dead supervisor left, or that KILL has not ended."""

import os

from clbalance.node.agent.fate import read_fate
from clbalance.node.agent.fields import JOB_NAME
from clbalance.node.agent.limits import KILL_AT_ADMISSION_S
from clbalance.node.agent.own_homes import OwnHome
from clbalance.node.agent.settle import supervisor_of
from clbalance.node.agent.tree import Process, Tree, kill_all


def find_orphans(homes: "list[OwnHome]", table: "dict[int, Process]") -> "dict[tuple[OwnHome, str], set[int]]":
    """By home and job. A process is a job's if it was started with its key *and* its folder, and is none of ours.

    Both, because several nodes of a cluster in a box see the same processes.
    """
    ours = ancestors(table)
    found: "dict[tuple[OwnHome, str], set[int]]" = {}
    ended: "dict[tuple[OwnHome, str], bool]" = {}
    for pid in table:
        job, folder = started_as(pid)
        for home in homes:
            if not job or pid in ours or folder != home.path_of(job):
                continue
            known = (home, job)
            if known not in ended:
                ended[known] = has_ended(home, job)
            if ended[known]:
                found.setdefault(known, set()).add(pid)
    return found


def kill_orphans(homes: "list[OwnHome]", home: OwnHome, job: str) -> "set[int]":
    """End them; those that are left."""

    def search(table: "dict[int, Process]") -> "set[int]":
        return find_orphans(homes, table).get((home, job), set())

    tree = Tree(search)
    kill_all(tree, KILL_AT_ADMISSION_S)
    return set(tree.members())


def has_ended(home: OwnHome, job: str) -> bool:
    """Whether it has started here and its supervisor is gone. Where nothing of it is left, nobody can say so."""
    folder = home.open_job(job)
    if folder is None:
        return has_void_lease(home, job)  # the job has removed its folder
    try:  # the fate before the locks, under which it is made
        return read_fate(folder) == "started" and supervisor_of(home.fd, job) is None and not is_flocked(folder)
    finally:
        os.close(folder)


def is_flocked(folder: int) -> bool:
    """Whether a supervisor lives whose lease somebody has removed."""
    import fcntl

    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(folder, fcntl.LOCK_UN)
    return False


def has_void_lease(home: OwnHome, job: str) -> bool:
    try:
        os.stat("lease-" + job, dir_fd=home.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return supervisor_of(home.fd, job) is None


def started_as(pid: int) -> "tuple[str, bytes]":
    """The job's name and folder in a process's environment, as far as we may read it."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0")]
    except OSError:
        return "", b""
    env = {name: value for name, _, value in pairs}
    job = os.fsdecode(env.get(b"CLBALANCE_JOB_KEY", b""))
    return job if JOB_NAME.fullmatch(job) else "", env.get(b"CLBALANCE_JOB_DIR", b"")


def ancestors(table: "dict[int, Process]") -> "set[int]":
    """This process and those that it was started by, whatever they have inherited."""
    found = set()
    pid = os.getpid()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found
