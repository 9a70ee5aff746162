"""Walks a path, folder by folder, and opens the folder of its file.

A link is followed only if nobody else could have made it or can exchange its target. Each folder is opened before it
is checked, and the next name is looked up in the opened folder: so nobody can exchange it in between.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from clbalance.lazy_dataclass import dataclass
from clbalance.user_files.ownership import others_write
from clbalance.user_files.refusal import FileRefusedError, refused_by_kernel

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""O_DIRECTORY also triggers an automounter; O_PATH alone does not."""
_MOST_LINKS = 40  # the kernel's own limit
_OWN_DESCRIPTORS = "/proc/self/fd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """An open folder and a name in it that is no link; or a descriptor of this process (`/dev/stdout`)."""

    path: str
    """As typed, for messages."""
    folder: int
    name: str
    descriptor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    name: str
    is_link_target: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    text: str
    uid: int


@contextlib.contextmanager
def located(path: str, asked: str | None = None) -> Iterator[Location]:
    """The location of `path`. Its folder is open in the block, where `OSError` becomes `FileRefusedError`."""
    asked = path if asked is None else asked
    with contextlib.closing(_Walk(path, asked)) as walk:
        try:
            yield walk.to_its_end()
        except OSError as error:
            raise refused_by_kernel(asked, error) from error


@contextlib.contextmanager
def folder_at(path: str, asked: str | None = None) -> Iterator[int]:
    """A descriptor of the folder `path`, open in the block. `asked`: the path for messages."""
    with located(f"{path}/.", asked or path) as location:
        folder = os.open(location.name, _FOLDER, dir_fd=location.folder)
        try:
            yield folder
        finally:
            os.close(folder)


def check_folder(path: str) -> None:
    """Raise `FileRefusedError` if there is no such folder, or its path is not safe to follow."""
    with folder_at(path):
        pass


class _Walk:
    """The walk along one path. It keeps one folder open."""

    def __init__(self, path: str, asked: str) -> None:
        self._path = path
        self._asked = asked
        self._folder = -1
        self._left: list[_Step] = []
        """The remaining steps, the next one last."""
        self._links = 0

    def close(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1

    def to_its_end(self) -> Location:
        if not self._path or "\0" in self._path:
            raise OSError(errno.ENOENT if not self._path else errno.EINVAL, "")
        if not self._path.startswith("/"):
            self._move_to(os.open(".", _FOLDER))
        self._begin(self._path, is_link=False)
        while True:
            step = self._left.pop()
            if self._left:
                self._enter(step)
                continue
            if _is_number(step.name) and self._is_in(_OWN_DESCRIPTORS):
                return self._location(step, descriptor=int(step.name))
            link = self._link(step.name)
            if link is None:
                self._check_target(step, opened=None)
                return self._location(step)
            self._follow(step.name, link)

    def _location(self, step: _Step, descriptor: int | None = None) -> Location:
        return Location(path=self._asked, folder=self._folder, name=step.name, descriptor=descriptor)

    def _begin(self, text: str, *, is_link: bool) -> None:
        if text.startswith("/"):
            self._move_to(os.open("/", _FOLDER))
        self._left.extend(reversed(_steps(text, is_link=is_link)))

    def _move_to(self, folder: int) -> None:
        self.close()
        self._folder = folder

    def _enter(self, step: _Step) -> None:
        try:
            opened = os.open(step.name, _FOLDER, dir_fd=self._folder)
        except NotADirectoryError:
            link = self._link(step.name)
            if link is None:
                raise
            self._follow(step.name, link)
            return
        try:
            self._check_target(step, opened=opened)
        except BaseException:
            os.close(opened)
            raise
        self._move_to(opened)

    def _link(self, name: str) -> _Link | None:
        """The link of that name; None if it is no link or is missing."""
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(fd)
            return _Link(text=os.readlink("", dir_fd=fd), uid=found.st_uid) if stat.S_ISLNK(found.st_mode) else None
        finally:
            os.close(fd)

    def _follow(self, name: str, link: _Link) -> None:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, "")
        if reason := others_write(os.fstat(self._folder)):
            message = f"{self._shown(name)!r} is a link, and {reason}"
            # Never suggest the target of a stranger's link.
            hint = self._without(link.text) if link.uid in {0, os.geteuid()} else "name a file in a folder of your own"
            raise FileRefusedError(self._asked, message, hint=hint)
        if _is_number(name) and os.fstat(self._folder).st_dev == Path("/proc").stat().st_dev:
            raise FileRefusedError(
                self._asked, "it is a descriptor of another process", hint="`/dev/stdout`, or `> FILE` in the shell"
            )
        self._begin(link.text, is_link=True)

    def _check_target(self, step: _Step, *, opened: int | None) -> None:
        """Refuse the target of a link if others could exchange it. `opened`: its descriptor, if it is a folder.

        A folder of ours or root's in a folder like /tmp cannot be exchanged by others (sticky bit).
        """
        folder = os.fstat(self._folder)
        reason = others_write(folder) if step.is_link_target else None
        if reason is None:
            return
        keeps = folder.st_mode & stat.S_ISVTX and folder.st_uid in {0, os.geteuid()}
        if opened is not None and keeps and os.fstat(opened).st_uid in {0, os.geteuid()}:
            return
        message = f"a link leads to {self._shown(step.name)!r}, and {reason}"
        raise FileRefusedError(self._asked, message, hint=self._without(step.name))

    def _is_in(self, folder: str) -> bool:
        try:
            return os.path.samestat(os.fstat(self._folder), Path(folder).stat())
        except OSError:
            return False

    def _without(self, text: str) -> str:
        rest = "/".join(step.name for step in reversed(self._left))
        return f"name it without the link: `{Path(self._shown(text), rest)}`"

    def _shown(self, name: str) -> str:
        """The path of `name` in the current folder, only for messages."""
        try:
            return str(Path(f"{_OWN_DESCRIPTORS}/{self._folder}").readlink() / name)
        except OSError:
            return name


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 10


def _steps(text: str, *, is_link: bool) -> list[_Step]:
    """The names in a path, with `.` as the last one if it means a folder (`x/`). The target of a link is marked."""
    names = [name for name in text.split("/") if name not in {"", "."}]
    if not names or text.rpartition("/")[2] in {"", "."}:
        names.append(".")
    marked = max((at for at, name in enumerate(names) if name != "."), default=0)
    return [_Step(name=name, is_link_target=is_link and at == marked) for at, name in enumerate(names)]
