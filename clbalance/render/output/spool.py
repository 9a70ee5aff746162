"""Keeps the output of many streams in one anonymous temporary file, until it is shown.

Memory holds the places of their pieces, and a few KiB of each stream, so that short lines are written in blocks. One
descriptor is enough for any number of streams, and whatever becomes of this process, no file is left.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import field
from typing import Self

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass

_MAX_PENDING_BYTES = 8 * 1024  # per stream
_COPY_BYTES = 256 * 1024


@dataclass(slots=True)
class Spooled:
    """One stream until now. Its extents are (offset, length) in the spool file, in order."""

    pending: bytearray = field(default_factory=bytearray)
    extents: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0


class Spool:
    """The file. `option`: what to leave out if there is no room for it."""

    def __init__(self, option: str) -> None:
        self._option = option
        try:
            self._file = tempfile.TemporaryFile(prefix="clbalance-")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self.no_room(error) from error
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop all of it."""
        self._file.close()

    def append(self, stream: Spooled, piece: bytes) -> None:
        """The next piece of a stream."""
        stream.size += len(piece)
        stream.pending += piece
        if len(stream.pending) > _MAX_PENDING_BYTES:
            self._store(stream)

    def blocks(self, stream: Spooled) -> Iterator[bytes]:
        """All of a stream."""
        for start, length in stream.extents:
            for at in range(start, start + length, _COPY_BYTES):
                yield os.pread(self._file.fileno(), min(_COPY_BYTES, start + length - at), at)
        yield bytes(stream.pending)

    def no_room(self, error: OSError) -> ClbalanceError:
        """The error of a full disk."""
        return ClbalanceError(
            f"output cannot be kept in a temporary file: {error.strerror}",
            hint=f"set TMPDIR to a folder with more room, or leave `{self._option}` out",
        )

    def _store(self, stream: Spooled) -> None:
        try:
            written = 0
            while written < len(stream.pending):
                written += os.pwrite(self._file.fileno(), stream.pending[written:], self._end + written)
        except OSError as error:
            raise self.no_room(error) from error
        self._note_extent(stream, len(stream.pending))
        stream.pending.clear()

    def _note_extent(self, stream: Spooled, length: int) -> None:
        """Merge adjacent extents, so that a single job needs only one, however much it prints."""
        if stream.extents and sum(stream.extents[-1]) == self._end:
            start, before = stream.extents.pop()
            stream.extents.append((start, before + length))
        else:
            stream.extents.append((self._end, length))
        self._end += length
