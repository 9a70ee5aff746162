"""The folder of this user's jobs on the node, and the files in it."""

import errno
import os
import stat
import time

from clbalance.node.agent.protocol import (
    FOLDER,
    KEPT_OUTPUT_BYTES,
    SQUATTED_NAMES,
    STORAGE_ERRNOS,
    WRITE_NEW,
    RefusedError,
    shown,
)
from clbalance.node.stdlib import suppress


def open_own_folder(parent: int, name: str, mode: int) -> "int | None":
    """Open our folder in `parent`, made if missing. None if it is a link, another user's or has a wider mode."""
    with suppress(FileExistsError):
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
    """Remove everything in a folder except `keep`, following no link."""
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
    """Open, write and close a file. May raise `OSError`."""
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        write_all(fd, content)
    finally:
        os.close(fd)


class JobsFolder:
    """This user's `jobs` folder on the node. It is opened by descriptors, so that no part of its path can be swapped.

    `home` is its parent. It holds this user's leases and drain marks, which everyone may read.
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
        """Open the first usable one of several names, because anyone may squat on a name in a shared folder.

        The path of `home`, its descriptor and that of `jobs`; `RefusedError` if no name is usable.
        """
        own = "clbalance-%d" % os.geteuid()
        names = [own, *("%s-%d" % (own, n) for n in range(1, SQUATTED_NAMES))]
        for name in names:
            try:
                home = open_own_folder(top, name, 0o755)
            except PermissionError:  # only an administrator makes folders there
                make = "`install -d -o %d -m 755 %s/%s`" % (os.geteuid(), shown(base), own)
                found = "no folder for uid %d" if name == own else "no folder that only uid %d can write to"
                what = "%s has %s, who may not make one; as root there: %s" % (shown(base), found % os.geteuid(), make)
                raise RefusedError("node_dir", what) from None
            if home is None:
                continue
            if os.fstat(home).st_mode & 0o055 != 0o055:
                os.fchmod(home, 0o755)  # a lease that others cannot read would be promised to them
            jobs = open_own_folder(home, "jobs", 0o700)
            if jobs is not None:
                return b"%s/%s" % (base, os.fsencode(name)), home, jobs
            os.close(home)
        where = "%s/%s … %s" % (shown(base), names[0], names[-1])
        raise RefusedError("node_dir", "%s are all taken by other users or links, or writable by others" % where)

    def claim(self, name: str, work: bool) -> None:
        """Make the job's folder: only its maker may start the job here. `RefusedError` if it exists.

        `work`: make the folder for its files, too.
        """
        try:
            os.mkdir(name, 0o700, dir_fd=self.fd)
        except FileExistsError:
            raise RefusedError("exists", "%s was claimed before" % name) from None
        if work:
            os.mkdir(name + "/work", 0o700, dir_fd=self.fd)

    def claim_if_absent(self, name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.fd)

    def open(self, name: str) -> int:
        return os.open(name, FOLDER, dir_fd=self.fd)

    def path(self, name: str) -> bytes:
        """The path of a job's folder."""
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
        """Empty a job's folder except `keep` and the fate file, the tombstone that makes a second start impossible."""
        folder = self.open(name)
        try:
            empty_folder(folder, keep | {"fate"})
        finally:
            os.close(folder)

    def set_time(self, name: str, at: float) -> None:
        """Set the time of a job's `spec`: `reap` leaves its folder alone until then."""
        with suppress(FileNotFoundError):  # the job may have removed it
            os.utime(name + "/spec", (at, at), dir_fd=self.fd, follow_symlinks=False)

    def drop_work(self, name: str) -> None:
        """Remove the job's files, which its user has by now."""
        folder = self.open(name)
        try:
            empty_folder(folder, frozenset(os.listdir(folder)) - {"work"})
        finally:
            os.close(folder)
        self.set_time(name, time.time())

    def retire(self, name: str) -> None:
        """Empty the folder of a job whose end its user has seen. `exit` stays, and so does small output.

        `log` says which output of a slot is whose.
        """
        output = ["stdout", "stderr", "log"]
        folder = self.open(name)
        try:
            sizes = [size_of(folder, stream) for stream in output]
        finally:
            os.close(folder)
        small = sum(sizes) <= KEPT_OUTPUT_BYTES
        self.clear(name, frozenset(["exit", *output] if small else ["exit"]))


def size_of(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
