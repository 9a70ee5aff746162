"""`--json`: the output of copies or tasks, kept until it goes into the document, or into files of its own."""

import base64
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.output.streams import STREAMS
from clbalance.render.text import Json

MOST_INSIDE_BYTES = 1 << 20
"""Of one stream. A longer one goes whole to a file of its own."""
_MOST_HELD_BYTES = 64 << 20
"""Of all streams together: what comes then goes to files as well."""


@dataclass(slots=True)
class _Stream:
    """One stream until now: in memory, or in a file."""

    held: bytearray = field(default_factory=bytearray)
    path: Path | None = None
    size: int = 0


class Collected:
    """Keeps output and shows none. The files that it makes stay: whoever reads the document reads them."""

    def __init__(self) -> None:
        self._streams: dict[tuple[NodeName, str], _Stream] = {}
        self._held_bytes = 0

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        one = self._streams.setdefault((node, stream), _Stream())
        one.size += len(piece)
        if one.path is None:
            one.held += piece
            self._held_bytes += len(piece)
            if one.size <= MOST_INSIDE_BYTES and self._held_bytes <= _MOST_HELD_BYTES:
                return
            self._held_bytes -= one.size
            piece, one.held = bytes(one.held), bytearray()
        self._append(one, f"clbalance-{node}-{stream}-", piece)

    def end(self, node: NodeName) -> None:
        """Its output is known, even if it has printed nothing."""
        for stream in STREAMS:
            self._streams.setdefault((node, stream), _Stream())

    def close(self) -> None:
        """Nothing: what is kept is still to be shown."""

    def begin_anew(self) -> None:
        """The job starts again: what its last attempt printed is no longer wanted."""
        for one in self._streams.values():
            if one.path is not None:
                one.path.unlink(missing_ok=True)
        self._streams.clear()
        self._held_bytes = 0

    def documents(
        self, labels: Iterable[NodeName], file_of: Callable[[NodeName, str], str | None]
    ) -> dict[tuple[str, str], Json]:
        """The output by label and stream. `file_of`: the file of `--output` that a stream went to, if it did."""
        found: dict[tuple[str, str], Json] = {}
        for label in labels:
            for stream in STREAMS:
                if path := file_of(label, stream):
                    found[label, stream] = _document(None, path=path)
                elif one := self._streams.get((label, stream)):
                    found[label, stream] = _document_of(one)
        return found

    def _append(self, one: _Stream, prefix: str, piece: bytes) -> None:
        try:
            if one.path is None:
                fd, name = tempfile.mkstemp(prefix=prefix)
                os.close(fd)
                one.path = Path(name)
            with one.path.open("ab") as file:
                file.write(piece)
        except OSError as error:
            raise ClbalanceError(
                f"output cannot be kept in a temporary file: {error.strerror}",
                hint="set TMPDIR to a folder with more room, or leave `--json` out",
            ) from error


def _document_of(one: _Stream) -> Json:
    """As text, as base64 if it is not UTF-8, or the path of its file."""
    if one.path is not None:
        return _document(one.size, path=str(one.path))
    content = bytes(one.held)
    try:
        return _document(one.size, text=content.decode())
    except UnicodeDecodeError:
        return _document(one.size, in_base64=base64.b64encode(content).decode())


def _document(
    size: int | None, *, text: str | None = None, in_base64: str | None = None, path: str | None = None
) -> Json:
    """One stream. `size` None: not known, because it went to a file of `--output`."""
    return {"bytes": size, "text": text, "base64": in_base64, "path": path}
