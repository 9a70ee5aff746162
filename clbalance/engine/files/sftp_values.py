"""What SFTP tells of files, as the values of copies and fetches."""

import stat
import zlib
from collections.abc import Iterator
from typing import Final

from clbalance.engine.files.frames import checksum
from clbalance.engine.files.values import FileError
from clbalance.model.files import Entry, FileKind, safe_mode
from clbalance.ports import SftpFacts

NS: Final = 1_000_000_000
_KINDS: Final = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.FOLDER, stat.S_IFLNK: FileKind.LINK}


def entry_of(path: str, found: SftpFacts) -> Entry:
    """What is there."""
    kind = _KINDS.get(stat.S_IFMT(found.mode), FileKind.OTHER)
    return Entry(
        path=path,
        kind=kind,
        size=found.size if kind is FileKind.FILE else 0,
        mtime_ns=found.mtime_s * NS,
        mode=safe_mode(found.mode),
    )


def reason_of(error: OSError | FileError) -> str:
    """Why it failed, in a few words."""
    if isinstance(error, FileError):
        return error.reason
    return error.strerror or str(error)


class SftpFile:
    """As `read_file.ReadFile`; the checksum is that of what came."""

    def __init__(self, path: str, facts: SftpFacts, content: Iterator[bytes]) -> None:
        self.path = path
        self.mode = safe_mode(facts.mode)
        self.mtime_ns = facts.mtime_s * NS
        self.size = facts.size
        self.checksum = b""
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        crc = 0
        try:
            for piece in self._content:
                left -= len(piece)
                if left < 0:
                    raise FileError(self.path, "it grew while it was read")
                crc = zlib.crc32(piece, crc)
                yield piece
        except OSError as error:
            raise FileError(self.path, reason_of(error)) from error
        if left:
            raise FileError(self.path, "it shrank while it was read")
        self.checksum = checksum(crc)
