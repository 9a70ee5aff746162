"""The protocol of the file program: frames in both directions, limits, and the hello (docs/design/copy.md).

A frame is a letter, the length of its content, and the content. Names are bytes, and no separator is needed.
"""

import errno
import fcntl
import io
import os
import struct
import sys

from clbalance.node.stdlib import dumps, signal, suppress

MYPY = False
if MYPY:
    from typing import Any, Iterator, List, Tuple

PROTOCOL = 1
FRAME = struct.Struct("!cI")
MOST_BYTES = 2 << 20  # of one frame
F_SETPIPE_SZ = 1031  # Python has the name from 3.10 on
PIPE_BYTES = 1 << 20  # the kernel's default makes four switches between programs of each piece
PIECE_BYTES = 256 << 10  # of a file in one frame; a smaller file is one frame
BUFFER_BYTES = 256 << 10
SILENT_S = 900  # without a frame from the client: it is gone, though its connection is not

ENTRY = struct.Struct("!BHQqH")  # kind, length of the name, size, mtime in ns, mode
NEW_FILE = struct.Struct("!HHqQ")  # length of the name, mode, mtime in ns, size
NAME = struct.Struct("!H")
CHECKSUM = struct.Struct("!I")  # CRC-32 of a content: ssh itself has kept it from being changed on its way
ABSENT, FILE, FOLDER, LINK, OTHER, UNREADABLE = range(6)
HASHED = 0x80  # in the kind: a SHA-256 of 32 bytes follows the name

SHORT_REASONS = {
    errno.ENOSPC: "no space left on the file system",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a file is where a folder is needed",
    errno.EISDIR: "it is a folder there",
    errno.ELOOP: "it is a link",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.EFBIG: "the file is too large for the file system",
}


class FileProblemError(Exception):
    """Why one file or folder is not read or written. The others go on."""


class HopelessError(Exception):
    """Why nothing can be done at all."""


def reason_of(error: "BaseException") -> str:
    if isinstance(error, OSError):
        number = error.errno or 0
        return SHORT_REASONS.get(number) or os.strerror(number)
    return str(error)


class Teller:
    """Is told by a receiver what goes wrong, and that it lives. The receiver also runs without a channel: `fetch`."""

    def problem(self, path: bytes, error: "BaseException") -> None:
        """The reason why a file is not read or written."""
        raise NotImplementedError

    def beat(self) -> None:
        """A sign of life, during what takes long."""
        raise NotImplementedError


class Channel(Teller):
    """Frames by standard input and output, which nothing else uses."""

    def __init__(self) -> None:
        self._input = os.fdopen(os.dup(0), "rb", BUFFER_BYTES)
        self._output = os.dup(1)
        for end in (0, self._output):
            with suppress(OSError):  # no pipe, or the user has too many large ones
                fcntl.fcntl(end, F_SETPIPE_SZ, PIPE_BYTES)
        self._unsent = io.BytesIO()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)

    def hello(self, nonce: str, **facts: "Any") -> None:
        self._unsent.write(("\x1eCLBF " + nonce + "\n").encode())
        self.tell(b"h", protocol=PROTOCOL, python="%d.%d" % sys.version_info[:2], uid=os.geteuid(), **facts)
        self.flush()

    def next(self) -> "Tuple[bytes, bytes] | None":
        """The next frame; None at the end of the input. What was sent so far is on its way."""
        signal.alarm(SILENT_S)
        head = self._input.read(FRAME.size)
        if len(head) < FRAME.size:
            return None
        letter, length = FRAME.unpack(head)
        if length > MOST_BYTES:
            raise HopelessError("a frame of %d bytes" % length)
        content = self._input.read(length)
        return (letter, content) if len(content) == length else None

    def send(self, letter: bytes, *parts: "Any") -> None:
        """Queue a frame; it is sent with others."""
        self._unsent.write(FRAME.pack(letter, sum(map(len, parts))))
        for part in parts:
            self._unsent.write(part)
        if self._unsent.tell() >= BUFFER_BYTES:
            self.flush()

    def tell(self, letter: bytes, **facts: "Any") -> None:
        self.send(letter, dumps(facts).encode())

    def problem(self, path: bytes, error: "BaseException") -> None:
        self.send(b"x", NAME.pack(len(path)), path, reason_of(error).encode("utf-8", "replace")[:1000])

    def beat(self) -> None:
        self.send(b".")
        self.flush()

    def flush(self) -> None:
        rest = self._unsent.getbuffer()
        while rest:
            rest = rest[os.write(self._output, rest) :]
        self._unsent = io.BytesIO()


def names_in(content: bytes) -> "Iterator[bytes]":
    """The names in a frame, each after its length."""
    at = 0
    while at < len(content):
        (length,) = NAME.unpack_from(content, at)
        at += NAME.size
        yield content[at : at + length]
        at += length


def parts_of(path: bytes) -> "List[bytes]":
    """The parts of a relative path; `FileProblemError` if it could lead out of its folder."""
    parts = path.split(b"/")
    if b"" in parts or b"." in parts or b".." in parts or b"\0" in path:
        raise FileProblemError("the name leads out of its folder")
    return parts
