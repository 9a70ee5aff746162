"""The conversation with a node that has no python3: each request by SFTP (docs/design/copy.md says what is weaker).

It has the calls of `FileProgram` that a copy needs. What is not whole has a temporary name; its size is compared, and
it gets its own name at once. Nothing is synced to disk, and there is no checksum.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from clbalance.engine.files.program import Opened
from clbalance.engine.files.sftp_values import NS, SftpFile, entry_of, reason_of
from clbalance.engine.files.values import FileError, NodeRefusedError
from clbalance.model.files import (
    MOST_DEPTH,
    MOST_ENTRIES,
    Entry,
    FileKind,
    is_temporary,
    os_bytes,
    safe_mode,
    temporary_name,
)
from clbalance.policy.files.patterns import is_match
from clbalance.ports import LinkError, Sftp, SftpWriter


class SftpSession:
    """One conversation, in one thread."""

    def __init__(self, sftp: Sftp) -> None:
        self._sftp = sftp
        self._root = b""
        self._is_root = False
        self._problems: list[FileError] = []
        self._done = 0
        self._writing: _Writing | None = None
        self._checked: set[bytes] = set()
        """Folders in which names may be changed."""

    def open(self, path: str, *, folder: bool = False, into_shared_folder: bool = False) -> Opened:
        """As `FileProgram.open`."""
        self._root = self._full_typed(path)
        home = self._sftp.home()
        at_home = self._sftp.facts(home)
        self._is_root = not into_shared_folder and at_home is not None and not at_home.uid
        try:
            return self._opened(folder=folder)
        except OSError as error:
            raise NodeRefusedError(reason_of(error)) from error

    def _opened(self, *, folder: bool) -> Opened:
        found = self._sftp.facts(self._root, follow=True)
        if found is not None and stat.S_ISDIR(found.mode):
            return Opened(exists=True, into=True, name="")
        if folder:
            if found is not None:
                raise NodeRefusedError("a file is where a folder is needed")
            return Opened(exists=False, into=True, name="")
        self._root, name = posixpath.split(self._root)
        above = self._sftp.facts(self._root, follow=True)
        if above is None or not stat.S_ISDIR(above.mode):
            raise NodeRefusedError(f"there is no folder {os.fsdecode(self._root)}")
        return Opened(exists=False, into=False, name=os.fsdecode(name))

    def open_source(self, path: str) -> Opened:
        """As `FileProgram.open_source`. A file is opened as what has no name in itself."""
        self._root = self._full_typed(path)
        try:
            found = self._sftp.facts(self._root, follow=True)
        except OSError as error:
            return Opened(exists=False, into=True, name="", reason=reason_of(error))
        return Opened(exists=found is not None, into=True, name="")

    def make(self) -> Opened:
        """As `FileProgram.make`."""
        missing = [self._root]
        try:
            while self._sftp.facts(posixpath.dirname(missing[-1]), follow=True) is None:
                missing.append(posixpath.dirname(missing[-1]))
            self._check_owner(posixpath.dirname(missing[-1]))
            for path in reversed(missing):
                self._sftp.make_folder(path, mode=0o755)
        except (OSError, FileError) as error:
            raise NodeRefusedError(reason_of(error)) from error
        return Opened(exists=True, into=True, name="")

    def look(self, paths: Iterable[str], *, checksum: bool = False) -> Iterator[Entry | FileError | None]:
        """As `FileProgram.look`; a checksum is never told, and so nothing is the same by its content."""
        del checksum
        for path in paths:
            try:
                found = self._sftp.facts(self._full(path), follow=not path)
            except OSError as error:
                yield FileError(path, reason_of(error))
            else:
                yield None if found is None else entry_of(path, found)

    def walk(self, path: str, *, checksum: bool = False, most: int = MOST_ENTRIES) -> Iterator[Entry | FileError]:
        """As `FileProgram.walk`."""
        del checksum
        left = most
        found = self._sftp.facts(self._full(path), follow=not path)
        waiting = [] if found is None else [("", found)]
        while waiting:
            name, facts = waiting.pop()
            left -= 1
            if left < 0:
                raise NodeRefusedError(f"there are more than {most:,} files and folders")
            yield entry_of(name, facts)
            if not stat.S_ISDIR(facts.mode):
                continue
            if name.count("/") >= MOST_DEPTH:
                yield FileError(name, "the folder is too deep")
                continue
            try:
                inner = self._sftp.names(self._full("/".join(filter(None, (path, name)))))
            except OSError as error:
                yield FileError(name, reason_of(error))
                continue
            for one, inner_facts in sorted(inner, key=lambda pair: pair[0], reverse=True):
                below = os.fsdecode(one)
                if "/" not in below and not is_temporary(below):
                    waiting.append((f"{name}/{below}" if name else below, inner_facts))

    def glob(self, pattern: str, *, most: int = 10_000) -> tuple[str, ...]:
        """As `FileProgram.glob`."""
        found = [""]
        for part in pattern.split("/"):
            found = [path for above in found for path in self._matches(above, part)]
            if len(found) > most:
                raise NodeRefusedError(f"there are more than {most:,} files and folders")
        return tuple(found)

    def _matches(self, above: str, pattern: str) -> Iterator[str]:
        try:
            names = sorted(os.fsdecode(name) for name, _ in self._sftp.names(self._full(above)))
        except OSError:
            return
        for name in names:
            if is_match(name, pattern) and not is_temporary(name):
                yield f"{above}/{name}" if above else name

    def read(self, paths: Iterable[str]) -> Iterator["SftpFile | FileError"]:
        """As `FileProgram.read`."""
        for path in paths:
            try:
                found = self._sftp.facts(self._full(path), follow=not path)
            except OSError as error:
                yield FileError(path, reason_of(error))
                continue
            if found is None or not stat.S_ISREG(found.mode):
                yield FileError(path, "it is no regular file")
            else:
                yield SftpFile(path, found, self._sftp.read(self._full(path)))

    def make_folders(self, paths: Iterable[str]) -> None:
        """As `FileProgram.make_folders`."""
        for path in paths:
            try:
                self._check(path)
                found = self._sftp.facts(self._full(path))
                if found is None:
                    self._sftp.make_folder(self._full(path), mode=0o700)
                elif not stat.S_ISDIR(found.mode):
                    raise FileError(path, "a file is where a folder is needed")
            except (OSError, FileError) as error:
                self._failed(path, error)

    def delete(self, paths: Iterable[str]) -> None:
        """As `FileProgram.delete`."""
        for path in paths:
            try:
                self._check(path)
                found = self._sftp.facts(self._full(path))
                if found is not None:
                    self._sftp.remove(self._full(path), folder=stat.S_ISDIR(found.mode))
                self._done += 1
            except (OSError, FileError) as error:
                self._failed(path, error)

    def set_attributes(self, path: str, entry: Entry) -> None:
        """As `FileProgram.set_attributes`."""
        try:
            if path:
                self._check(path)
                self._check_is(path, entry.kind)
            self._sftp.set_facts(self._full(path), mode=safe_mode(entry.mode), mtime_s=entry.mtime_ns // NS)
        except (OSError, FileError) as error:
            self._failed(path, error)

    def send_whole(self, path: str, entry: Entry, checksum: bytes, content: bytes) -> None:
        """As `FileProgram.send_whole`."""
        self.begin(path, entry)
        self.piece(content)
        self.end(checksum)

    def begin(self, path: str, entry: Entry) -> None:
        """As `FileProgram.begin`."""
        self.abort()
        try:
            self._check(path)
            found = self._sftp.facts(self._full(path))
            if found is not None and not stat.S_ISREG(found.mode):
                raise FileError(path, f"a {entry_of(path, found).kind.value} is there")
            full = self._full(path)
            temporary = posixpath.join(posixpath.dirname(full), os_bytes(temporary_name(os.urandom(8))))
            self._writing = _Writing(path, entry, temporary, self._sftp.create(temporary))
        except (OSError, FileError) as error:
            self._failed(path, error)

    def piece(self, content: bytes | memoryview) -> None:
        """As `FileProgram.piece`."""
        if self._writing is not None:
            try:
                self._writing.writer.write(content)
            except OSError as error:
                self._failed(self._writing.path, error)
                self.abort()

    def end(self, checksum: bytes) -> None:
        """As `FileProgram.end`, but that the file gets its name at once."""
        del checksum
        writing = self._writing
        if writing is None:
            return
        try:
            writing.writer.close()
            entry = writing.entry
            self._sftp.set_facts(writing.temporary, mode=safe_mode(entry.mode), mtime_s=entry.mtime_ns // NS)
            found = self._sftp.facts(writing.temporary)
            if found is None or found.size != entry.size:
                raise FileError(writing.path, "it did not arrive whole")
            self._sftp.replace(writing.temporary, self._full(writing.path))
            self._writing = None
            self._done += 1
        except (OSError, FileError) as error:
            self._failed(writing.path, error)
            self.abort()

    def abort(self) -> None:
        """As `FileProgram.abort`."""
        writing, self._writing = self._writing, None
        if writing is not None:
            with contextlib.suppress(OSError):
                writing.writer.close()
            with contextlib.suppress(OSError):
                self._sftp.remove(writing.temporary)

    def commit(self) -> int:
        """How many files were sent or removed since the last time."""
        done, self._done = self._done, 0
        return done

    def problems(self) -> tuple[FileError, ...]:
        """As `FileProgram.problems`."""
        return tuple(self._problems)

    def has_problem(self, path: str) -> bool:
        """As `FileProgram.has_problem`."""
        return bool(self._problems) and self._problems[-1].path == path

    def _full_typed(self, path: str) -> bytes:
        typed = os_bytes(path)
        if typed == b"~" or typed.startswith(b"~/"):
            typed = typed[2:]
        return posixpath.join(self._sftp.home(), typed.rstrip(b"/") or typed)

    def _full(self, path: str) -> bytes:
        return posixpath.join(self._root, os_bytes(path)) if path else self._root

    def _failed(self, path: str, error: OSError | FileError) -> None:
        self._problems.append(FileError(path, reason_of(error)))

    def _check(self, path: str) -> None:
        """Raise `FileError` before a name is changed in a folder that is reached through a link, or shared."""
        folder = self._root
        for part in ["", *path.split("/")[:-1]]:
            folder = posixpath.join(folder, os_bytes(part)) if part else folder
            if folder not in self._checked:
                found = self._sftp.facts(folder, follow=not part)
                if found is None or not stat.S_ISDIR(found.mode):
                    raise FileError(path, "no folder is where one is needed")
                self._check_owner(folder)
                self._checked.add(folder)

    def _check_owner(self, folder: bytes) -> None:
        found = self._sftp.facts(folder, follow=True)
        if self._is_root and found is not None and (found.uid or found.mode & stat.S_IWOTH):
            name = os.fsdecode(folder)
            raise FileError(name, "root does not write there: others may (`--into-shared-folder` allows it)")

    def _check_is(self, path: str, kind: FileKind) -> None:
        found = self._sftp.facts(self._full(path))
        if found is None or entry_of(path, found).kind is not kind:
            raise FileError(path, f"it is no {kind.value} any more")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(LinkError):
            self.abort()
        self._sftp.close()


class _Writing:
    """The file that is being written."""

    def __init__(self, path: str, entry: Entry, temporary: bytes, writer: SftpWriter) -> None:
        self.path = path
        self.entry = entry
        self.temporary = temporary
        self.writer = writer
