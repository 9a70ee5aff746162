"""Leftovers of jobs on the node: this user's node folders, orphaned processes, and the removal of files."""

import contextlib
import errno
import os
import stat
import time

from clbalance.node.agent.fields import is_job_name
from clbalance.node.agent.job.outcome import read_fate
from clbalance.node.agent.job.settle import supervisor_of
from clbalance.node.agent.lease.homes import home_paths
from clbalance.node.agent.protocol import FOLDER, KILL_AT_ADMISSION_S, MADE_BASE, REAP_DEPTH, USUAL_BASE
from clbalance.node.agent.tree import Process, Tree, kill_all

MYPY = False
if MYPY:
    from typing import Iterator


class OwnHome:
    """A node folder of this user, and its `jobs` (-1 if there is none). Nobody else can write to them."""

    def __init__(self, path: bytes, fd: int, jobs: int) -> None:
        self.path = path
        self.fd = fd
        self.jobs = jobs

    def close(self) -> None:
        os.close(self.fd)
        if self.jobs >= 0:
            os.close(self.jobs)

    def path_of(self, job: str) -> bytes:
        return b"%s/jobs/%s" % (self.path, os.fsencode(job))

    def open_job(self, job: str) -> "int | None":
        """A descriptor of the job's folder; None if there is none."""
        try:
            return os.open(job, FOLDER, dir_fd=self.jobs) if self.jobs >= 0 else None
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def own_homes(base: bytes) -> "Iterator[list[OwnHome]]":
    """All node folders of this user: in each base that may have been used, under each possible name."""
    found: "list[OwnHome]" = []
    try:
        for folder in [base, USUAL_BASE] if base == MADE_BASE else [base]:
            for path in home_paths(folder, os.geteuid()):
                fd = open_if_ours(path)
                if fd is not None:
                    jobs = open_if_ours(b"jobs", fd)
                    found.append(OwnHome(path, fd, -1 if jobs is None else jobs))
        yield found
    finally:
        for home in found:
            home.close()


def open_if_ours(path: bytes, folder: "int | None" = None) -> "int | None":
    """Open a folder, following no link. None unless it is ours and nobody else may write to it."""
    try:
        fd = os.open(path, FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            return None
        raise
    facts = os.fstat(fd)
    if facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & 0o022:
        return fd
    os.close(fd)
    return None


# Orphans: processes of ended jobs, left by a dead supervisor or not ended by KILL.


def find_orphans(homes: "list[OwnHome]", table: "dict[int, Process]") -> "dict[tuple[OwnHome, str], set[int]]":
    """Orphans by home and job. A job's processes have its key *and* its folder in their environment.

    Both are needed: several nodes of a cluster in a box see the same processes. Our own ancestors are left out.
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
    """Kill a job's orphans. The pids of those that are left."""

    def search(table: "dict[int, Process]") -> "set[int]":
        return find_orphans(homes, table).get((home, job), set())

    tree = Tree(search)
    kill_all(tree, KILL_AT_ADMISSION_S)
    return set(tree.members())


def has_ended(home: OwnHome, job: str) -> bool:
    """Whether a job was started here and its supervisor is gone. False if nothing is left that would prove it."""
    folder = home.open_job(job)
    if folder is None:
        return has_void_lease(home, job)  # the job removed its folder
    try:  # read the fate before the locks: it is made under them
        return read_fate(folder) == "started" and supervisor_of(home.fd, job) is None and not is_flocked(folder)
    finally:
        os.close(folder)


def is_flocked(folder: int) -> bool:
    """Whether a supervisor lives, even if its lease was removed."""
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
    """The job's name and folder in a process's environment; empty if we may not read it."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0")]
    except OSError:
        return "", b""
    env = {name: value for name, _, value in pairs}
    job = os.fsdecode(env.get(b"CLBALANCE_JOB_KEY", b""))
    return job if is_job_name(job) else "", env.get(b"CLBALANCE_JOB_DIR", b"")


def ancestors(table: "dict[int, Process]") -> "set[int]":
    """The pids of this process and its ancestors. They may have inherited a job's environment."""
    found = set()
    pid = os.getpid()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


# Emptying a folder: within a time limit, and only on its own file system.


class Clearing:
    """Empties one folder; without `apply` it only counts.

    `count`: entries so far. `size`: bytes of the files so far. `whole`: there was time for all entries.
    """

    def __init__(self, until: float, apply: bool) -> None:
        self.until = until
        self.apply = apply
        self.count = 0
        self.size = 0
        self.whole = True

    def clear(self, folder: int, keep: "frozenset[str]" = frozenset(), depth: int = REAP_DEPTH) -> None:
        """Remove all entries but `keep`, and at least one, so that repeated calls come to an end.

        `OSError` if folders are nested too deep or another file system is mounted inside.
        """
        if depth == 0:
            raise OSError(errno.ENAMETOOLONG, "folders within folders")
        device = os.fstat(folder).st_dev
        # The fate goes last: a folder without it would look like a claim that may still be started.
        for name in sorted(set(os.listdir(folder)) - keep, key=lambda name: (name == "fate", name)):
            if self.count and time.monotonic() > self.until:
                self.whole = False
                return
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue  # another agent removes it too
            if facts.st_dev != device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))  # mounted there by the job
            if stat.S_ISDIR(facts.st_mode):
                self.clear_inner(folder, name, depth - 1)
            else:
                self.size += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
                if self.apply:
                    os.unlink(name, dir_fd=folder)
            self.count += 1

    def clear_inner(self, folder: int, name: str, depth: int) -> None:
        inner = os.open(name, FOLDER, dir_fd=folder)
        try:
            self.clear(inner, depth=depth)
        finally:
            os.close(inner)
        if self.apply and self.whole:
            os.rmdir(name, dir_fd=folder)
