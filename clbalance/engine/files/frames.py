"""The frames of the file program (docs/design/copy.md), packed and checked. Pure; `node/files/frames.py` is its end."""

import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from clbalance.model import Cause
from clbalance.model.files import MOST_NAME_BYTES, Entry, FileKind, os_bytes, safe_mode
from clbalance.ports import LinkError

PROTOCOL: Final = 1
HEAD: Final = struct.Struct("!cI")
MOST_BYTES: Final = 2 << 20
PIECE_BYTES: Final = 256 << 10
"""A file of at most so many bytes is one frame."""

_ENTRY = struct.Struct("!BHQqH")
_NEW_FILE = struct.Struct("!HHqQ")
_NAME = struct.Struct("!H")
_KINDS = {1: FileKind.FILE, 2: FileKind.FOLDER, 3: FileKind.LINK, 4: FileKind.OTHER}
_ABSENT, _UNREADABLE, _HASHED = 0, 5, 0x80
_LONGEST_REASON = 1000
_SHA256_BYTES = 32
_CHECKSUM = struct.Struct("!I")


class GarbledError(LinkError):
    """What a node sent is no frame of the file program, or not the expected one."""

    def __init__(self, what: str) -> None:
        super().__init__(Cause.GARBLED, f"it sent {what}")


def hello_mark(nonce: str) -> bytes:
    """The line after which frames begin; before it, login profiles may write what they like."""
    return f"\x1eCLBF {nonce}\n".encode()


def frame(letter: bytes, *parts: bytes | memoryview) -> bytes:
    """One frame."""
    return b"".join((HEAD.pack(letter, sum(map(len, parts))), *parts))


def ask(letter: bytes, **fields: object) -> bytes:
    """A frame whose content is JSON; names that are not UTF-8 travel as lone surrogates."""
    return frame(letter, json.dumps(fields).encode())


def head_of(data: bytes) -> tuple[bytes, int]:
    """Letter and length of a frame."""
    letter, length = HEAD.unpack(data)
    if length > MOST_BYTES:
        raise GarbledError(f"a frame of {length} bytes")
    return letter, length


def facts_in(content: bytes) -> dict[str, Any]:
    """The content of a frame that is JSON."""
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise GarbledError("a frame that is no JSON") from error
    if not isinstance(facts, dict):
        raise GarbledError("a frame without fields")
    return facts


def checksum(crc: int) -> bytes:
    """The checksum that goes with a content, of its CRC-32: ssh itself has kept it from being changed on its way."""
    return _CHECKSUM.pack(crc)


def names(paths: Iterable[str]) -> bytes:
    """Names, each after its length."""
    return b"".join(map(name, paths))


def name(path: str) -> bytes:
    """A name after its length."""
    data = os_bytes(path)
    return _NAME.pack(len(data)) + data


def name_at(content: bytes) -> tuple[str, bytes]:
    """The name at the beginning, and what follows it."""
    if len(content) < _NAME.size:
        raise GarbledError("a frame without a name")
    (length,) = _NAME.unpack_from(content)
    rest = content[_NAME.size :]
    if len(rest) < length or length > MOST_NAME_BYTES:
        raise GarbledError("a frame with a wrong length")
    return _text(rest[:length]), rest[length:]


def file_facts(entry: Entry, path: str) -> bytes:
    """What a frame says of a file or folder, before its content."""
    data = os_bytes(path)
    return _NEW_FILE.pack(len(data), safe_mode(entry.mode), entry.mtime_ns, entry.size) + data


def read_facts(content: bytes) -> tuple[int, int, int]:
    """Mode, time and size of a file that a node is about to send."""
    if len(content) != _NEW_FILE.size:
        raise GarbledError("a frame with a wrong length")
    _, mode, mtime_ns, size = _NEW_FILE.unpack(content)
    return safe_mode(mode), mtime_ns, size


def entry_in(content: bytes) -> tuple[str, Entry | str | None]:
    """A name, and what is there: None for nothing, a reason if it cannot be read."""
    if len(content) < _ENTRY.size:
        raise GarbledError("an entry that is too short")
    kind, length, size, mtime_ns, mode = _ENTRY.unpack_from(content)
    rest = content[_ENTRY.size :]
    if len(rest) < length or length > MOST_NAME_BYTES:
        raise GarbledError("an entry with a wrong length")
    path, more = _text(rest[:length]), rest[length:]
    if kind == _ABSENT:
        return path, None
    if kind == _UNREADABLE:
        return path, reason_in(more)
    is_hashed = bool(kind & _HASHED)
    if kind & ~_HASHED not in _KINDS or len(more) != (_SHA256_BYTES if is_hashed else 0):
        raise GarbledError("an entry of no known kind")
    entry = Entry(
        path=path,
        kind=_KINDS[kind & ~_HASHED],
        size=size,
        mtime_ns=mtime_ns,
        mode=safe_mode(mode),
        sha256=more.hex() if is_hashed else None,
    )
    return path, entry


def reason_in(data: bytes) -> str:
    """A reason, in the node's words."""
    return data[:_LONGEST_REASON].decode("utf-8", "replace")


def batches(paths: Iterable[str], *, most: int, most_bytes: int = 256 << 10) -> Iterator[list[str]]:
    """The paths in lists whose answers fit into the pipes."""
    batch: list[str] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += len(path) * 4
        if len(batch) >= most or size >= most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
