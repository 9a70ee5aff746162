"""What a node has under the names that a user wants to fetch, and under which names it is kept here.

`/var/log/*.log` on node n1 becomes `a.log.n1` and `b.log.n1`; a folder `results` becomes `results.n1`. Only names that
were asked for come out, whatever the node answers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from clbalance.engine.files.program import FileProgram, ReadFile
from clbalance.engine.files.values import FileError, NodeRefusedError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, LeftOut, top_of, unsafe_name
from clbalance.policy.files.patterns import is_match, split_name, split_pattern

_MOST_MATCHES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a fetched file or folder lies on the node: `name` in `folder`. Empty: the opened folder itself."""

    folder: str
    """Links on the way to it are followed."""
    name: str
    is_link: bool = False
    """`folder` is a link to the file or folder."""


class RemoteSources:
    """The sources on one node: found first, read later."""

    def __init__(self, program: FileProgram, node: NodeName, *, checksum: bool, most: int) -> None:
        self._program = program
        self._suffix = f".{node}"
        self._checksum = checksum
        self._left = most
        self._places: dict[str, _Place] = {}
        self.problems: list[FileError] = []
        self.left_out: list[LeftOut] = []

    @property
    def tops(self) -> tuple[str, ...]:
        """The names in the folder here, of all that was found."""
        return tuple(self._places)

    def find(self, source: str) -> Iterator[Entry]:
        """What `source` names, with the names that it gets here, each folder before what is in it."""
        folder, pattern = split_pattern(source)
        matches: tuple[str, ...] = ()
        if pattern:
            self._open(_Place(folder=folder, name=""))
            matches = self._program.glob(pattern, most=_MOST_MATCHES)
        else:
            folder, pattern = split_name(source)
        for name in matches or (pattern,):  # a name may have `[` in it
            if matches and not is_match(name, pattern):
                raise NodeRefusedError(f"it names {name!r}, which is not asked for")
            yield from self._at(_Place(folder=folder, name=name), source if not matches else name)

    def read(self, entries: Iterable[Entry]) -> Iterator[ReadFile | FileError]:
        """The content of these files, which have one top name, in this order."""
        opened = False
        paths = []
        for entry in entries:
            place = self._places[top_of(entry.path)]
            if not opened:
                self._open(place)
                opened = True
            paths.append("/".join(filter(None, (place.name, entry.path.partition("/")[2]))))
        yield from self._program.read(paths)

    def _open(self, place: _Place) -> str:
        """Open the folder of a place, and say under which name it is there."""
        opened = self._program.open(place.folder, folder=not place.is_link, into_shared_folder=True, real=place.is_link)
        return opened.name if place.is_link and not opened.into else ""

    def _at(self, place: _Place, shown: str) -> Iterator[Entry]:
        top = split_name(place.name)[1] + self._suffix
        if reason := "two sources have this name" if top in self._places else unsafe_name(top):
            self.problems.append(FileError(shown, reason))
            return
        self._open(place)
        for found in self._program.look([place.name]):
            if isinstance(found, Entry) and found.kind is FileKind.LINK:
                linked = _Place(folder=f"{place.folder}/{place.name}".replace("//", "/"), name="", is_link=True)
                place = replace(linked, name=self._open(linked))
        self._places[top] = place
        is_there = False
        for found in self._program.walk(place.name, checksum=self._checksum, most=self._left):
            is_there = True
            self._left -= 1
            path = f"{top}/{found.path}" if found.path else top
            if isinstance(found, FileError):
                self.problems.append(FileError(f"{shown}/{found.path}" if found.path else shown, found.reason))
            elif found.kind in {FileKind.FILE, FileKind.FOLDER}:
                yield replace(found, path=path)
            elif found.path:
                self.left_out.append(LeftOut(path=path, reason=f"it is a {found.kind.value} there"))
            else:
                self.problems.append(FileError(shown, f"it is a {found.kind.value}"))
        if not is_there:
            self.problems.append(FileError(shown, "there is no such file or folder"))
