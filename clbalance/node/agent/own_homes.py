"""Where this user keeps jobs on this node, or kept them before: looked at, never made."""

import contextlib
import errno
import os
import stat

from clbalance.node.agent.limits import FOLDER, SQUATTED_NAMES
from clbalance.node.agent.marks import bases_of

MYPY = False
if MYPY:
    from typing import Iterator


class OwnHome:
    """A folder of ours, and the `jobs` in it, -1 where there are none. Nobody else can have put anything there."""

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
        """The folder of a job; None where there is none."""
        try:
            return os.open(job, FOLDER, dir_fd=self.jobs) if self.jobs >= 0 else None
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def own_homes(base: bytes) -> "Iterator[list[OwnHome]]":
    """All of them: under each name that others may have made us take, in each folder that may have been the one."""
    found: "list[OwnHome]" = []
    try:
        for folder in bases_of(base):
            name = b"%s/clbalance-%d" % (folder, os.geteuid())
            for path in [name, *(b"%s-%d" % (name, n) for n in range(1, SQUATTED_NAMES))]:
                fd = open_if_ours(path)
                if fd is not None:
                    jobs = open_if_ours(b"jobs", fd)
                    found.append(OwnHome(path, fd, -1 if jobs is None else jobs))
        yield found
    finally:
        for home in found:
            home.close()


def open_if_ours(path: bytes, folder: "int | None" = None) -> "int | None":
    """A folder that belongs to us and that nobody else may write to; never through a link."""
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
