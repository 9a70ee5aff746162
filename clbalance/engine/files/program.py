"""The client end of the file program on one node (docs/design/copy.md). Binary frames in both directions.

What comes from the node is checked: frames of nonsense, wrong lengths and endless data are a `LinkError` (GARBLED).
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from clbalance.engine.files.values import FileError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The folder that paths are relative to, after `open`."""

    exists: bool
    """Whether there is a folder DEST."""
    path: str
    """Its absolute path."""


class FileProgram:
    """One conversation. In one thread; requests are answered in order."""

    def open(self, path: str, *, into_shared_folder: bool = False) -> Opened:
        """Look at DEST, which is relative to the home folder there. Paths of later requests are relative to it.

        Nothing is made.
        """
        raise NotImplementedError

    def look(self, paths: Iterable[str], *, checksum: bool = False) -> Iterator[Entry | None]:
        """What is at each of these paths, in this order; None: nothing. No link is followed."""
        raise NotImplementedError

    def walk(self, path: str, *, checksum: bool = False, most: int = 1_000_000) -> Iterator[Entry | FileError]:
        """The file or folder at `path`, and all in it, each folder before what is in it. No link is followed.

        Paths are relative to `path`, which itself is `""`. For `fetch` and `--sync`.
        """
        raise NotImplementedError

    def glob(self, pattern: str, *, most: int = 10_000) -> tuple[str, ...]:
        """The paths that match, relative to the opened folder. For `run --return`."""
        raise NotImplementedError

    def read(self, path: str) -> Iterator[bytes]:
        """The content of a regular file, in pieces, checked against the node's checksum at the end.

        `FileError` (with the node's reason) if it cannot be read, or changed while it was read.
        """
        raise NotImplementedError

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
