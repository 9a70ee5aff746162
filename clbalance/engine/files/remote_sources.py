"""What a node has under the names that a user wants to fetch, and under which names it is kept here.

`/var/log/*.log` on node n1 becomes `a.log.n1` and `b.log.n1`; a folder `results` becomes `results.n1`. Only names that
were asked for come out, whatever the node answers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from clbalance.engine.files.program import FileProgram
from clbalance.engine.files.read_file import ReadFile
from clbalance.engine.files.sftp_session import SftpSession
from clbalance.engine.files.sftp_values import SftpFile
from clbalance.engine.files.values import FileError, NodeRefusedError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, LeftOut, top_of, unsafe_name
from clbalance.policy.files.patterns import is_match, split_name, split_pattern

_MOST_MATCHES = 10_000

ArrivingFile: TypeAlias = ReadFile | SftpFile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a fetched file or folder lies on the node."""

    opened: str
    """The source that is opened to read it."""
    name: str
    """Its name then; empty: the opened folder itself."""


class RemoteSources:
    """The sources on one node: found first, read later."""

    def __init__(self, program: FileProgram | SftpSession, node: NodeName, *, checksum: bool, most: int) -> None:
        self._program = program
        self._suffix = f".{node}"
        self._checksum = checksum
        self._left = most
        self._places: dict[str, _Place] = {}
        """By the names at the top here."""
        self.problems: list[FileError] = []
        self.left_out: list[LeftOut] = []

    @property
    def tops(self) -> tuple[str, ...]:
        """The names in the folder here of all that was found."""
        return tuple(self._places)

    def find(self, source: str) -> Iterator[Entry]:
        """What `source` names, with the names that it gets here, each folder before what is in it."""
        folder, pattern = split_pattern(source)
        matches: tuple[str, ...] = ()
        if pattern and self._program.open_source(folder).exists:
            matches = self._program.glob(pattern, most=_MOST_MATCHES)
        if not matches:  # or a file whose name has `[` in it
            yield from self._at(source)
        for name in matches:
            if not is_match(name, pattern):
                raise NodeRefusedError(f"it names {name!r}, which was not asked for")
            yield from self._at("/".join(filter(None, (folder.rstrip("/"), name))) if folder != "/" else f"/{name}")

    def read(self, entries: Iterable[Entry]) -> Iterator[ArrivingFile | FileError]:
        """The content of these files, which have one top name, in this order."""
        paths: list[str] = []
        for entry in entries:
            place = self._places[top_of(entry.path)]
            if not paths:
                self._program.open_source(place.opened)
            paths.append("/".join(filter(None, (place.name, entry.path.partition("/")[2]))))
        yield from self._program.read(paths)

    def shown(self, path: str) -> str:
        """A name here as the user knows it: alike for all nodes."""
        top, slash, rest = path.partition("/")
        return f"{top.removesuffix(self._suffix)}{slash}{rest}"

    def _at(self, source: str) -> Iterator[Entry]:
        top = split_name(source)[1] + self._suffix
        if reason := "two sources have this name" if top in self._places else unsafe_name(top):
            self.problems.append(FileError(source, reason))
            return
        opened = self._program.open_source(source)
        place = _Place(opened=source, name=opened.name)
        self._places[top] = place
        is_there = False
        for found in self._program.walk(place.name, checksum=self._checksum, most=self._left) if opened.exists else ():
            is_there = True
            self._left -= 1
            path = f"{top}/{found.path}" if found.path else top
            if isinstance(found, FileError):
                self.problems.append(FileError(self.shown(path) if found.path else source, found.reason))
            elif found.kind in {FileKind.FILE, FileKind.FOLDER}:
                yield replace(found, path=path)
            elif found.path:
                self.left_out.append(LeftOut(path=self.shown(path), reason=f"it is a {found.kind.value}"))
            else:
                self.problems.append(FileError(source, f"it is a {found.kind.value}"))
        if not is_there:
            self.problems.append(FileError(source, opened.reason or "there is no such file or folder"))
