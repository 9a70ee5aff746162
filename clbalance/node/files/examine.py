"""What is there: single names, whole folders, patterns; and the content of files. No link is followed."""

import errno
import os
import stat
import time
import zlib

from clbalance.node.files.folders import Tree, is_temporary, names_of
from clbalance.node.files.frames import (
    ABSENT,
    CHECKSUM,
    ENTRY,
    FILE,
    FOLDER,
    HASHED,
    LINK,
    NAME,
    NEW_FILE,
    OTHER,
    PIECE_BYTES,
    UNREADABLE,
    Channel,
    FileProblemError,
    parts_of,
    reason_of,
)

MYPY = False
if MYPY:
    from typing import Iterator, List

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_DEPTH = 64
BEAT_BYTES = 32 << 20  # hashed between two signs of life
BEAT_S = 1.0


class Examiner:
    """Answers questions about the folder."""

    def __init__(self, channel: Channel, tree: "Tree | None") -> None:
        self._channel = channel
        self._tree = tree
        self._beat_at = time.monotonic() + BEAT_S

    def look(self, path: bytes, hashed: bool) -> None:
        """Send the entry of one name."""
        if self._tree is None:
            self._send(path, ABSENT)
            return
        try:
            *above, name = parts_of(path) if path else [b"."]
            self._entry(path, self._tree.folder(above).fd, name, hashed)
        except OSError as error:
            # Its folder is missing, or is a file or a link: then nothing of this name is there.
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self._send(path, ABSENT)
            else:
                self._send(path, UNREADABLE, problem=error)
        except FileProblemError as error:
            self._send(path, UNREADABLE, problem=error)

    def walk(self, path: bytes, hashed: bool, most: int) -> bool:
        """Send the entries of what is at `path` and in it, names relative to it; whether that was all."""
        if self._tree is None:
            return True
        try:
            *above, name = parts_of(path) if path else [b"."]
            left = self._walk(self._tree.folder(above).fd, name, b"", hashed, most, MOST_DEPTH)
        except FileNotFoundError:
            return True
        except (OSError, FileProblemError) as error:
            self._send(b"", UNREADABLE, problem=error)
            return True
        return left >= 0

    def _walk(self, folder: int, name: bytes, path: bytes, hashed: bool, left: int, depth: int) -> int:
        """How many more entries may follow; below 0: there are more."""
        facts = self._entry(path, folder, name, hashed)
        left -= 1
        if left < 0 or facts is None or not stat.S_ISDIR(facts.st_mode):
            return left
        try:
            if not depth:
                raise FileProblemError("the folder is too deep")
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except (OSError, FileProblemError) as error:
            self._send(path, UNREADABLE, problem=error)
            return left
        try:
            for one in names_of(inner):
                if left < 0:
                    break
                if not is_temporary(one):
                    left = self._walk(inner, one, path + b"/" + one if path else one, hashed, left, depth - 1)
        finally:
            os.close(inner)
        return left

    def glob(self, pattern: bytes, most: int) -> bool:
        """Send the names that match a pattern, whose `*` matches no `/`; whether that was all."""
        count = 0
        if self._tree is not None:
            for path in self._matches(self._tree.folder([]).fd, pattern.split(b"/"), b""):
                if count >= most:
                    return False
                count += 1
                self._channel.send(b"g", NAME.pack(len(path)), path)
        return True

    def _matches(self, folder: int, parts: "List[bytes]", path: bytes) -> "Iterator[bytes]":
        import fnmatch

        pattern, rest = parts[0], parts[1:]
        for name in names_of(folder):
            if is_temporary(name) or not fnmatch.fnmatchcase(name, pattern):
                continue
            if name.startswith(b".") and not pattern.startswith(b"."):
                continue
            found = path + b"/" + name if path else name
            if not rest:
                yield found
                continue
            try:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from self._matches(inner, rest, found)
            finally:
                os.close(inner)

    def read(self, path: bytes) -> None:
        """Send the content of a regular file."""
        fd = -1
        try:
            if self._tree is None:
                raise FileNotFoundError(errno.ENOENT, "")
            *above, name = parts_of(path)
            fd = os.open(name, READ, dir_fd=self._tree.folder(above).fd)
            self._send_content(fd)
        except (OSError, FileProblemError) as error:
            self._channel.problem(path, error)
        finally:
            if fd >= 0:
                os.close(fd)

    def _send_content(self, fd: int) -> None:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise FileProblemError("it is no regular file")
        facts = NEW_FILE.pack(0, stat.S_IMODE(before.st_mode), before.st_mtime_ns, before.st_size)
        self._channel.send(b"b", facts)
        checksum = 0
        left = before.st_size
        while left:
            piece = os.read(fd, min(left, PIECE_BYTES))
            if not piece:
                raise FileProblemError("it shrank while it was read")
            left -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            self._channel.send(b"d", piece)
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise FileProblemError("it changed while it was read")
        self._channel.send(b"e", CHECKSUM.pack(checksum))

    def _entry(self, path: bytes, folder: int, name: bytes, hashed: bool) -> "os.stat_result | None":
        try:
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self._send(path, ABSENT)
            return None
        if not stat.S_ISREG(facts.st_mode):
            kind = FOLDER if stat.S_ISDIR(facts.st_mode) else LINK if stat.S_ISLNK(facts.st_mode) else OTHER
            self._send(path, kind, facts)
        elif not hashed:
            self._send(path, FILE, facts)
        else:
            try:
                self._send(path, FILE | HASHED, facts, self._checksum(folder, name))
            except OSError:
                self._send(path, FILE, facts)  # not the same, as far as we know
        return facts

    def _checksum(self, folder: int, name: bytes) -> bytes:
        import hashlib

        checksum, since = hashlib.sha256(), 0
        fd = os.open(name, READ, dir_fd=folder)
        try:
            while True:
                piece = os.read(fd, PIECE_BYTES)
                if not piece:
                    return checksum.digest()
                checksum.update(piece)
                since += len(piece)
                if since >= BEAT_BYTES:
                    since = 0
                    self._channel.beat()
        finally:
            os.close(fd)

    def _send(
        self,
        path: bytes,
        kind: int,
        facts: "os.stat_result | None" = None,
        checksum: bytes = b"",
        problem: "BaseException | None" = None,
    ) -> None:
        if facts is None:
            head = ENTRY.pack(kind, len(path), 0, 0, 0)
        else:
            size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
            head = ENTRY.pack(kind, len(path), size, facts.st_mtime_ns, stat.S_IMODE(facts.st_mode))
        reason = b"" if problem is None else reason_of(problem).encode("utf-8", "replace")[:1000]
        self._channel.send(b"i", head, path, checksum, reason)
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + BEAT_S
            self._channel.flush()
