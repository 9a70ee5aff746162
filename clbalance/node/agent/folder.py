"""Where jobs are kept."""

import contextlib
import errno
import os
import stat

from clbalance.node.agent.protocol import (
    FOLDER,
    KEPT_OUTPUT_BYTES,
    SQUATTED_NAMES,
    STORAGE_ERRNOS,
    WRITE_NEW,
    RefusedError,
    shown,
)


def open_own_folder(parent: int, name: str, mode: int) -> "int | None":
    """A folder of ours in `parent`, made if missing; None where a stranger, a link or loose rights make it unfit."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EACCES):
            return None
        raise
    facts = os.fstat(fd)
    if facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & ~mode:
        return fd
    os.close(fd)
    return None


def empty_folder(folder: int, keep: "frozenset[str]" = frozenset()) -> None:
    """Remove all that is in a folder but `keep`, following no link."""
    for name in set(os.listdir(folder)) - keep:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue  # another agent removes it too
        except IsADirectoryError:
            inner = os.open(name, FOLDER, dir_fd=folder)
            try:
                empty_folder(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)


def write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def write_file(folder: int, name: str, flags: int, content: bytes) -> None:
    """Open, write and close, telling what the disk answers."""
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        write_all(fd, content)
    finally:
        os.close(fd)


class JobsFolder:
    """This user's `jobs` on this node, reached by descriptors so that no part of the way can be swapped.

    `home`, the folder around it, is where his leases and his drain mark lie, for everyone to see.
    """

    def __init__(self, base: bytes) -> None:
        if not base.startswith(b"/"):
            raise RefusedError("node_dir", "CLBALANCE_NODE_DIR must be an absolute path, not `%s`" % shown(base))
        try:
            top = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.home, self.home_fd, self.fd = self.descend(top, base)
            finally:
                os.close(top)
        except OSError as error:
            kind = "storage" if error.errno in STORAGE_ERRNOS else "node_dir"
            raise RefusedError(kind, "%s: %s" % (shown(base), os.strerror(error.errno or 0))) from error

    @staticmethod
    def descend(top: int, base: bytes) -> "tuple[bytes, int, int]":
        """The first fit one of several names: anyone may squat on a name in a folder for everyone."""
        own = "clbalance-%d" % os.geteuid()
        names = [own, *("%s-%d" % (own, n) for n in range(1, SQUATTED_NAMES))]
        for name in names:
            home = open_own_folder(top, name, 0o755)
            if home is None:
                continue
            jobs = open_own_folder(home, "jobs", 0o700)
            if jobs is not None:
                return b"%s/%s" % (base, os.fsencode(name)), home, jobs
            os.close(home)
        where = "%s/%s … %s" % (shown(base), names[0], names[-1])
        raise RefusedError("node_dir", "%s are all taken by other users or links, or writable by others" % where)

    def claim(self, name: str) -> None:
        """Make the job's folder; whoever makes it first has the only right to start the job here."""
        try:
            os.mkdir(name, 0o700, dir_fd=self.fd)
        except FileExistsError:
            raise RefusedError("exists", "%s was claimed before" % name) from None

    def claim_if_absent(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.fd)

    def open(self, name: str) -> int:
        return os.open(name, FOLDER, dir_fd=self.fd)

    def path(self, name: str) -> bytes:
        """Of a job's folder."""
        return b"%s/jobs/%s" % (self.home, os.fsencode(name))

    def write(self, name: str, files: "dict[str, bytes]", flags: int = WRITE_NEW) -> None:
        """Write files in a job's folder."""
        folder = self.open(name)
        try:
            for file, content in files.items():
                write_file(folder, file, flags, content)
        finally:
            os.close(folder)

    def clear(self, name: str, keep: "frozenset[str]" = frozenset()) -> None:
        """Keep little of a job but its folder and its fate, the tombstone that makes a second start impossible."""
        folder = self.open(name)
        try:
            empty_folder(folder, keep | {"fate"})
        finally:
            os.close(folder)

    def retire(self, name: str) -> None:
        """Keep the end of a job, and what it printed if that is little: its user has seen it, and may look again."""
        folder = self.open(name)
        try:
            sizes = [size_of(folder, stream) for stream in ("stdout", "stderr")]
        finally:
            os.close(folder)
        small = sum(sizes) <= KEPT_OUTPUT_BYTES
        self.clear(name, frozenset(["exit", "stdout", "stderr"] if small else ["exit"]))


def size_of(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
