"""Writes files and folders below a folder that a user named, as another machine describes them.

The code that does it is the one that nodes run (`node/files/receive.py`): every name is looked up in an opened folder,
no link is followed, and a file gets its name when it is whole and on disk. This is its form for values of this side.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from shlex import quote
from types import TracebackType
from typing import Final, Self

from clbalance.model.files import Entry, FileKind, is_temporary, os_bytes, safe_mode
from clbalance.node.files.folders import Guard, Tree
from clbalance.node.files.frames import Teller, reason_of
from clbalance.node.files.receive import Receiver
from clbalance.user_files.location import folder_at
from clbalance.user_files.ownership import others_write
from clbalance.user_files.refusal import FileRefusedError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: Final = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.FOLDER, stat.S_IFLNK: FileKind.LINK}
_KEPT_FREE_BYTES: Final = 64 << 20


@contextlib.contextmanager
def opened_folder(path: str, *, into_shared: bool = False) -> Iterator[int]:
    """The folder `path`, open in the block. `FileRefusedError` if it is none, or as root if others may write to it.

    `into_shared`: the user said that this is meant.
    """
    with _folder(path) as folder:
        reason = others_write(os.fstat(folder)) if os.geteuid() == 0 and not into_shared else None
        if reason:
            hint = "name a folder of root's, or add `--into-shared-folder` if it is meant"
            raise FileRefusedError(path, f"root does not write there: {reason}", hint=hint)
        opened = os.dup(folder)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _folder(path: str) -> Iterator[int]:
    """The folder as the kernel finds it, with hints that speak of a folder."""
    hints = {errno.ENOENT: f"make it first: `mkdir -p {quote(path)}`", errno.ENOTDIR: "a file is there; name a folder"}
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(folder_at(path))
        except FileRefusedError as error:
            hint = hints.get(error.number, error.hint)
            raise FileRefusedError(path, error.reason, hint=hint, number=error.number) from error
        yield folder


class TreeWriter(Teller):
    """Names below one opened folder. What cannot be written becomes a problem, and the next file goes on."""

    def __init__(self, folder: int, *, into_shared: bool = False) -> None:
        """`folder` stays the caller's."""
        self._folder = folder
        self._problems: list[tuple[str, str]] = []
        guard = Guard(os.geteuid() == 0 and not into_shared)
        self._tree = Tree(os.dup(folder), guard)
        self._receiver = Receiver(self, self._tree)

    def existing(self, top: str, *, checksum: bool = False) -> Iterator[Entry]:
        """The file or folder `top`, and all in it, each folder before what is in it. No link is followed. `OSError`."""
        yield from self._existing(self._folder, top, top, checksum=checksum)

    def free_bytes(self) -> int:
        """How much can still be written."""
        found = os.fstatvfs(self._folder)
        return max(0, found.f_bavail * found.f_frsize - _KEPT_FREE_BYTES)

    def delete(self, entry: Entry) -> None:
        """Remove a file, a link or an empty folder."""
        self._receiver.delete(os_bytes(entry.path))

    def make_folder(self, entry: Entry) -> None:
        """Make a folder for us alone; `set_attributes` gives it its mode, when all is in it."""
        self._receiver.make_folder(os_bytes(entry.path))

    def begin(self, entry: Entry) -> None:
        """A file is about to come; `piece` for each part of it, then `end` or `abort`."""
        self._receiver.begin(os_bytes(entry.path), entry.mode, entry.mtime_ns)

    def piece(self, content: bytes) -> None:
        """The next part of the file."""
        self._receiver.piece(content)

    def end(self, checksum: bytes) -> None:
        """All of the file has come. It gets its name at the next `commit`, at the latest."""
        self._receiver.end(checksum)

    def abort(self) -> None:
        """The file is not whole, and is not kept."""
        self._receiver.abort()

    def set_attributes(self, entry: Entry) -> None:
        """Set mode and time of what is there."""
        self._receiver.set_attributes(os_bytes(entry.path), entry.mode, entry.mtime_ns)

    def commit(self) -> int:
        """Bring all to disk and give it its names; how many names were given or removed since the last time."""
        self._receiver.commit()
        return self._receiver.take_count()

    def problems(self) -> tuple[tuple[str, str], ...]:
        """Names and reasons."""
        return tuple(self._problems)

    def has_problem(self, path: str) -> bool:
        """Whether the last problem is of this file: more of it is not needed."""
        return bool(self._problems) and self._problems[-1][0] == path

    def close(self) -> None:
        """Remove what is not whole."""
        self._receiver.close()
        self._tree.close()

    def problem(self, path: bytes, error: BaseException) -> None:
        """For the receiver: something cannot be written."""
        self._problems.append((os.fsdecode(path), reason_of(error)))

    def beat(self) -> None:
        """For the receiver: the disk is slow. There is nobody here who would think us dead."""

    def _existing(self, folder: int, name: str, path: str, *, checksum: bool) -> Iterator[Entry]:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), FileKind.OTHER)
        yield Entry(
            path=path,
            kind=kind,
            size=found.st_size if kind is FileKind.FILE else 0,
            mtime_ns=found.st_mtime_ns,
            mode=safe_mode(found.st_mode),
            sha256=_sum(folder, name) if checksum and kind is FileKind.FILE else None,
        )
        if kind is FileKind.FOLDER:
            inner = os.open(name, _FOLDER, dir_fd=folder)
            try:
                with os.scandir(inner) as names:
                    for one in names:
                        if not is_temporary(one.name):
                            yield from self._existing(inner, one.name, f"{path}/{one.name}", checksum=checksum)
            finally:
                os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sum(folder: int, name: str) -> str:
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
