"""`--json`: the output of copies or tasks, kept until it goes into the document, or into files of its own."""

import base64
import os
import tempfile
from collections.abc import Callable, Iterable

from clbalance.model import NodeName
from clbalance.render.output.spool import Spool, Spooled
from clbalance.render.output.streams import STREAMS
from clbalance.render.text import Json

MOST_INSIDE_BYTES = 1 << 20
"""Of one stream. A longer one goes whole to a file of its own."""
_MOST_OF_ALL_BYTES = 64 << 20
"""Of all streams together: those that come then go to files as well."""


class Collected:
    """Keeps output and shows none. Files that a document names stay: whoever reads it reads them."""

    def __init__(self) -> None:
        self._spool = Spool("--json")
        self._streams: dict[tuple[NodeName, str], Spooled] = {}

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._spool.append(self._streams.setdefault((node, stream), Spooled()), piece)

    def end(self, node: NodeName) -> None:
        """Its output is known, even if it has printed nothing."""
        for stream in STREAMS:
            self._streams.setdefault((node, stream), Spooled())

    def close(self) -> None:
        """Nothing: what is kept is still to be shown."""

    def begin_anew(self) -> None:
        """The job starts again: what its last attempt printed is no longer wanted."""
        if self._streams:
            self.discard()
            self._spool = Spool("--json")

    def discard(self) -> None:
        """Drop all of it, but for the files that were told."""
        self._streams.clear()
        self._spool.close()

    def documents(
        self, labels: Iterable[NodeName], file_of: Callable[[NodeName, str], str | None]
    ) -> dict[tuple[str, str], Json]:
        """The output by label and stream. `file_of`: the file of `--output` that a stream went to, if it did."""
        found: dict[tuple[str, str], Json] = {}
        room = _MOST_OF_ALL_BYTES
        for key in ((label, stream) for label in labels for stream in STREAMS):
            if path := file_of(*key):
                found[key] = _document(None, path=path)
            elif one := self._streams.get(key):
                if one.size > min(MOST_INSIDE_BYTES, room):
                    found[key] = _document(one.size, path=self._file(one, "-".join(("clbalance", *key, ""))))
                else:
                    room -= one.size
                    found[key] = _inside(b"".join(self._spool.blocks(one)))
        return found

    def _file(self, one: Spooled, prefix: str) -> str:
        """A new file with the whole stream."""
        try:
            fd, name = tempfile.mkstemp(prefix=prefix)
            with os.fdopen(fd, "wb") as file:
                file.writelines(self._spool.blocks(one))
        except OSError as error:
            raise self._spool.no_room(error) from error
        return name


def _inside(content: bytes) -> Json:
    """Output as text, or as base64 if it is not UTF-8."""
    try:
        return _document(len(content), text=content.decode())
    except UnicodeDecodeError:
        return _document(len(content), in_base64=base64.b64encode(content).decode())


def _document(
    size: int | None, *, text: str | None = None, in_base64: str | None = None, path: str | None = None
) -> Json:
    """One stream. `size` None: not known, because it went to a file of `--output`."""
    return {"bytes": size, "text": text, "base64": in_base64, "path": path}
