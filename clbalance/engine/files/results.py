"""Bring the results of a job from its nodes: what matches its patterns, in its work folders and nowhere else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from clbalance.engine.files.fetch import Fetching, FetchRequest, Space
from clbalance.engine.files.program import FileProgram
from clbalance.engine.files.remote_sources import ArrivingFile
from clbalance.engine.files.transfers import Progress, Transfers, on_each
from clbalance.engine.files.values import FileError, NodeRefusedError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult, LeftOut, parent_of, top_of, unsafe_name
from clbalance.model.job_files import WORK_FOLDER
from clbalance.policy.files.patterns import is_match
from clbalance.policy.jobs.job_files import outermost
from clbalance.ports import FileListener
from clbalance.user_files.trees.writing import TreeWriter

_AT_ONCE = 16  # nodes
_SHOWN_WARNINGS = 20
_MOST_MATCHES = 10_000
_MOST_ENTRIES = 200_000
"""Of one copy: more cannot be told from an endless list."""
_MOST_BYTES = 1 << 60  # the space on the disk here is the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The results in one folder of a copy, and where they go here."""

    below: str
    """The folder, in the work folder of the copy; empty: the work folder."""
    patterns: tuple[str, ...]
    ending: str
    """Added here to each name."""
    inputs: frozenset[str] = frozenset()
    """Names of links to what all tasks share: they are no results."""
    writer: Callable[[], AbstractContextManager[Callable[[], TreeWriter]]]
    """Makes the folder here, and what writes to it. `ClbalanceError` if that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFolder:
    """The folder of a copy on its node, and what is wanted of it."""

    node: NodeName
    folder: str
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came of one copy. `is_gone`: its work folder is no longer there."""

    result: FilesResult
    is_gone: bool = False
    unmatched: tuple[tuple[str, str], ...] = ()
    """Patterns that match nothing, each behind its folder in the work folder."""


def bring_results(
    transfers: Transfers, folders: Sequence[ResultFolder], *, space: Space, listener: FileListener
) -> tuple[Brought, ...]:
    """Bring the results of the copies of one job, in this order. Nodes fail alone. `space`: on the disk here."""
    found: dict[int, Brought] = {}

    def work(node: NodeName, progress: Progress) -> FilesResult:
        with transfers.program(node) as program:
            for at, one in enumerate(folders):
                if one.node == node:
                    found[at] = _brought(program, one, space, progress)
        return FilesResult(node=node)

    nodes = tuple(dict.fromkeys(one.node for one in folders))
    ended = {
        one.node: Brought(result=one)
        for one in on_each(nodes, work, transfers=transfers, fanout=_AT_ONCE, listener=listener)
    }
    return tuple(found.get(at, ended[one.node]) for at, one in enumerate(folders))


def _brought(program: FileProgram, folder: ResultFolder, space: Space, progress: Progress) -> Brought:
    """What came of one copy. After a failure the rest of it comes another time."""
    work = f"{folder.folder}/{WORK_FOLDER}"
    whole = FilesResult(node=folder.node)
    unmatched: list[tuple[str, str]] = []
    try:
        if not program.open(work, folder=True).exists:
            return Brought(result=replace(whole, failure="its work folder is gone"), is_gone=True)
        for one in folder.wanted:
            results = _Results(program, one.ending, one.inputs)
            if one.below and not program.open(f"{work}/{one.below}", folder=True).exists:
                unmatched += ((one.below, pattern) for pattern in one.patterns)
                continue
            request = FetchRequest(sources=one.patterns, most_bytes=_MOST_BYTES)
            with one.writer() as writer, writer() as target:
                came = Fetching(folder.node, results, request, target, space, progress).carried_out()
            unmatched += ((one.below, pattern) for pattern in results.unmatched)
            whole = _sum(whole, came)
    except NodeRefusedError as error:
        whole = replace(whole, failure=whole.failure or str(error))
    return Brought(result=whole, unmatched=tuple(unmatched))


def _sum(one: FilesResult, other: FilesResult) -> FilesResult:
    return replace(
        one,
        sent=one.sent + other.sent,
        sent_bytes=one.sent_bytes + other.sent_bytes,
        same=one.same + other.same,
        failure=one.failure or other.failure,
        warnings=(*one.warnings, *other.warnings)[:_SHOWN_WARNINGS],
    )


class _Results:
    """The results in the folder that is open: `FoundFiles`. No link is followed, and each name comes once."""

    def __init__(self, program: FileProgram, ending: str, inputs: frozenset[str]) -> None:
        self._program = program
        self._ending = ending
        self._inputs = inputs
        self._there: dict[str, str] = {}
        """The name in the work folder, by the name here."""
        self.problems: list[FileError] = []
        self.left_out: list[LeftOut] = []
        self.unmatched: list[str] = []

    @property
    def tops(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(top_of, self._there)))

    def find(self, source: str) -> Iterator[Entry]:
        matched = self._program.glob(source, most=_MOST_MATCHES)
        if not matched:
            self.unmatched.append(source)
        for name in outermost(matched):
            if not is_match(name, source):
                raise NodeRefusedError(f"it names {name!r}, which is not asked for")
            yield from self._at(name)

    def read(self, entries: Iterable[Entry]) -> Iterator[ArrivingFile | FileError]:
        yield from self._program.read([self._there[entry.path] for entry in entries])

    def shown(self, path: str) -> str:
        return self._there.get(path, path)

    def _at(self, name: str) -> Iterator[Entry]:
        here = name + self._ending
        if reason := unsafe_name(here):
            self.problems.append(FileError(name, reason))
            return
        yield from self._folders_of(here)
        for found in self._program.walk(name, most=_MOST_ENTRIES):
            there, path = (f"{name}/{found.path}", f"{here}/{found.path}") if found.path else (name, here)
            if isinstance(found, FileError):
                self.problems.append(FileError(there, found.reason))
            elif found.kind is FileKind.LINK and there in self._inputs:
                continue
            elif found.kind not in (FileKind.FILE, FileKind.FOLDER):
                self.left_out.append(LeftOut(path=there, reason=f"it is a {found.kind.value}"))
            elif path not in self._there:
                self._there[path] = there
                yield replace(found, path=path)

    def _folders_of(self, path: str) -> Iterator[Entry]:
        """The folders on the way to it that did not come yet."""
        above = parent_of(path)
        if above and above not in self._there:
            yield from self._folders_of(above)
            self._there[above] = above
            for found in self._program.look([above]):
                if not isinstance(found, Entry) or found.kind is not FileKind.FOLDER:
                    raise NodeRefusedError(f"{above!r} is no folder any more")
                yield found
