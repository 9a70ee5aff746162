"""Files that arrive: each under a temporary name beside its own, checked, and renamed when a batch is on disk."""

import os
import stat
import zlib

from clbalance.node.files.folders import OPENED, Tree, temporary_name
from clbalance.node.files.frames import CHECKSUM, FileProblemError, Teller, parts_of
from clbalance.node.stdlib import suppress

MYPY = False
if MYPY:
    from threading import Thread
    from typing import Any, Callable, List, Optional, Set

    from clbalance.node.files.folders import Folder

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MODE = 0o777  # never setuid, setgid or the sticky bit
SYNCED_SINGLY = 8  # files; for more, one syncfs takes less time, though it writes other programs' data as well
MOST_PENDING = 4096  # files whose names are given at once
MOST_FOLDERS = 128  # open for them
EARLY_BYTES = 32 << 20  # of a large file, after which its way to the disk is begun
BEAT_S = 1.0  # between signs of life while a disk is slow
MOST_BEATS = 600


class Arriving:
    """One file that is being written under its temporary name."""

    def __init__(self, path: bytes, folder: "Folder", name: bytes) -> None:
        self.path = path
        self.folder = folder.keep()
        self.name = name
        self.temporary = temporary_name()
        self.fd = -1
        self.checksum = 0
        self.size = 0
        self.synced = 0

    def open(self) -> None:
        old = facts_of(self.name, self.folder.fd)
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise FileProblemError("it is a folder there")
        if old is not None and not stat.S_ISREG(old.st_mode):
            raise FileProblemError("it is %s there" % ("a link" if stat.S_ISLNK(old.st_mode) else "no regular file"))
        self.fd = os.open(self.temporary, NEW, 0o600, dir_fd=self.folder.fd)
        if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            set_owner(self.fd, old)

    def write(self, content: "Any") -> None:
        self.checksum = zlib.crc32(content, self.checksum)
        rest = memoryview(content)
        self.size += len(rest)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        if self.size >= self.synced + EARLY_BYTES:
            self.synced = self.size
            in_thread(sync_early, os.dup(self.fd))

    def complete(self, checksum: bytes, mode: int, mtime_ns: int) -> None:
        """Everything was written: check it, and set what a rename keeps."""
        if CHECKSUM.pack(self.checksum) != checksum:
            raise FileProblemError("it arrived damaged")
        os.fchmod(self.fd, mode & MODE)
        os.utime(self.fd, ns=(mtime_ns, mtime_ns))
        self.close()

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def sync(self) -> None:
        fd = os.open(self.temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder.fd)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self) -> None:
        os.rename(self.temporary, self.name, src_dir_fd=self.folder.fd, dst_dir_fd=self.folder.fd)
        self.folder.release()

    def drop(self) -> None:
        self.close()
        with suppress(OSError):
            os.unlink(self.temporary, dir_fd=self.folder.fd)
        self.folder.release()


class Receiver:
    """Carries out what changes the folder. A problem with one file is told, and the next file goes on."""

    def __init__(self, teller: Teller, tree: Tree) -> None:
        self._teller = teller
        self._tree = tree
        self._arriving: "Optional[Arriving]" = None
        self._facts = (b"", 0, 0)  # name, mode and time of the file that arrives in pieces
        self._pending: "List[Arriving]" = []
        self._folders: "Set[int]" = set()
        self._done = 0

    def whole(self, path: bytes, mode: int, mtime_ns: int, checksum: bytes, content: "Any") -> None:
        """A file in one frame."""
        arriving = self._new(path)
        if arriving is not None:
            self._finish(arriving, checksum, mode, mtime_ns, content)

    def begin(self, path: bytes, mode: int, mtime_ns: int) -> None:
        """A file that comes in pieces. What of them comes after a problem is not kept."""
        self.abort()
        self._facts = (path, mode, mtime_ns)
        self._arriving = self._new(path)

    def piece(self, content: bytes) -> None:
        arriving = self._arriving
        if arriving is not None:
            try:
                arriving.write(content)
            except OSError as error:
                self._failed(arriving, error)

    def end(self, checksum: bytes) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            _, mode, mtime_ns = self._facts
            self._finish(arriving, checksum, mode, mtime_ns, b"")

    def abort(self) -> None:
        """The file that arrives is not whole, and never will be."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            arriving.drop()

    def _new(self, path: bytes) -> "Optional[Arriving]":
        arriving = None
        try:
            *above, name = parts_of(path)
            arriving = Arriving(path, self._tree.to_change(above), name)
            arriving.open()
        except (OSError, FileProblemError) as error:
            if arriving is not None:
                arriving.drop()
            self._teller.problem(path, error)
            return None
        return arriving

    def _finish(self, arriving: Arriving, checksum: bytes, mode: int, mtime_ns: int, content: "Any") -> None:
        try:
            arriving.write(content)
            arriving.complete(checksum, mode, mtime_ns)
        except (OSError, FileProblemError) as error:
            self._failed(arriving, error)
            return
        self._pending.append(arriving)
        self._folders.add(arriving.folder.fd)
        if len(self._pending) >= MOST_PENDING or len(self._folders) >= MOST_FOLDERS:
            self.commit()

    def _failed(self, arriving: Arriving, error: "BaseException") -> None:
        if self._arriving is arriving:
            self._arriving = None
        arriving.drop()
        self._teller.problem(arriving.path, error)

    def commit(self) -> None:
        """Bring the content of all complete files to disk, and then give them their names."""
        pending, self._pending = self._pending, []
        self._folders.clear()
        unsynced = None
        try:
            sync_all(pending, self._teller)
        except OSError as error:
            unsynced = error
        for arriving in pending:
            try:
                if unsynced is not None:
                    raise unsynced
                arriving.rename()
                self._done += 1
            except OSError as error:
                arriving.drop()
                self._teller.problem(arriving.path, error)

    def take_count(self) -> int:
        """How many files have got their names since the last call."""
        done, self._done = self._done, 0
        return done

    def make_folder(self, path: bytes) -> None:
        """Make a folder that we can write to; its mode is set when all is in it."""
        try:
            *above, name = parts_of(path)
            parent = self._tree.to_change(above)
            try:
                os.mkdir(name, 0o700, dir_fd=parent.fd)
            except FileExistsError:
                facts = facts_of(name, parent.fd)
                if facts is None or not stat.S_ISDIR(facts.st_mode):
                    raise FileProblemError("a file is where a folder is needed")
                return
            made = os.open(name, OPENED, dir_fd=parent.fd)
            self._tree.made(made)
            os.close(made)
        except (OSError, FileProblemError) as error:
            self._teller.problem(path, error)

    def set_attributes(self, path: bytes, mode: int, mtime_ns: int) -> None:
        """Set mode and time of a file or a folder that is there."""
        try:
            if path:
                *above, name = parts_of(path)
                parent = self._tree.to_change(above)
            else:
                parent, name = self._tree.folder([]), b"."
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                fd = os.open(name, flags, dir_fd=parent.fd)
            except PermissionError:  # ours, and not readable
                os.chmod(name, 0o600 | stat.S_IMODE(os.stat(name, dir_fd=parent.fd).st_mode), dir_fd=parent.fd)
                fd = os.open(name, flags, dir_fd=parent.fd)
            try:
                facts = os.fstat(fd)
                if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
                    raise FileProblemError("it is no regular file there")
                if stat.S_IMODE(facts.st_mode) & MODE != mode & MODE:
                    os.fchmod(fd, mode & MODE)
                if facts.st_mtime_ns != mtime_ns:
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(fd)
        except (OSError, FileProblemError) as error:
            self._teller.problem(path, error)

    def delete(self, path: bytes) -> None:
        """Remove a file, a link or an empty folder."""
        try:
            *above, name = parts_of(path)
            parent = self._tree.to_change(above)
            try:
                os.unlink(name, dir_fd=parent.fd)
            except (IsADirectoryError, PermissionError) as error:
                facts = facts_of(name, parent.fd)
                if facts is None or not stat.S_ISDIR(facts.st_mode):
                    raise error
                self._tree.leave()
                os.rmdir(name, dir_fd=self._tree.to_change(above).fd)
            self._done += 1
        except FileNotFoundError:
            self._done += 1
        except (OSError, FileProblemError) as error:
            self._teller.problem(path, error)

    def close(self) -> None:
        """Leave nothing that is not whole."""
        self.abort()
        for arriving in self._pending:
            arriving.drop()
        self._pending.clear()


def facts_of(name: bytes, folder: int) -> "Optional[os.stat_result]":
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def sync_early(fd: int) -> None:
    """Let the disk work while more arrives; an error comes again at the end."""
    with suppress(OSError):
        os.fdatasync(fd)
    os.close(fd)


def in_thread(work: "Callable[..., None]", *arguments: "Any") -> "Thread":
    """Begin this work in a thread of its own, which ends with this process at the latest."""
    import threading

    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def set_owner(fd: int, old: "os.stat_result") -> None:
    """Keep owner and group of the file that is replaced, as far as we may set them."""
    for uid in (old.st_uid, -1):
        with suppress(PermissionError):
            os.fchown(fd, uid, old.st_gid)
            return


def sync_all(pending: "List[Arriving]", teller: Teller) -> None:
    """Bring the content of these files to disk, in another thread, with signs of life meanwhile. `OSError`."""
    errors: "List[OSError]" = []

    def sync() -> None:
        try:
            if len(pending) <= SYNCED_SINGLY or not sync_file_systems(pending):
                for one in pending:
                    one.sync()
        except OSError as error:
            errors.append(error)

    thread = in_thread(sync)
    for _ in range(MOST_BEATS):
        thread.join(BEAT_S)
        if not thread.is_alive():
            break
        teller.beat()
    thread.join()
    if errors:
        raise errors[0]


def sync_file_systems(pending: "List[Arriving]") -> bool:
    """Sync each file system on which there are some of these files; False if this system cannot."""
    import ctypes  # a few files need none

    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    devices = {os.fstat(one.folder.fd).st_dev: one for one in pending}
    for one in devices.values():
        fd = os.open(one.temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=one.folder.fd)
        try:
            if syncfs(fd):
                raise OSError(ctypes.get_errno(), "")
        finally:
            os.close(fd)
    return True
