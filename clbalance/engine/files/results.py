"""Bring the results of a job from its nodes: what matches its patterns, in its work folder and nowhere else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
_MOST_MATCHES = 10_000
_MOST_ENTRIES = 200_000
"""Of one copy: more cannot be told from an endless list."""
_MOST_BYTES = 1 << 60  # the space on the disk here is the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came of one copy. `is_gone`: its work folder is no longer there."""

    result: FilesResult
    is_gone: bool
    unmatched: tuple[str, ...]
    """Patterns that match nothing."""


def bring_results(
    transfers: Transfers,
    folders: Mapping[NodeName, str],
    patterns: Sequence[str],
    *,
    writer: Callable[[], TreeWriter],
    with_node_names: bool,
    listener: FileListener,
) -> dict[NodeName, Brought]:
    """Bring the results of the copies of one job. `folders`: that of the job on each node. Nodes fail alone.

    `writer`: writes to the folder here. `with_node_names`: each name gets that of its node as an ending.
    """
    with writer() as first:
        space = Space(first.free_bytes())
    found: dict[NodeName, _Results] = {}
    request = FetchRequest(sources=tuple(patterns), most_bytes=_MOST_BYTES)

    def work(node: NodeName, progress: Progress) -> FilesResult:
        with transfers.program(node) as program, writer() as target:
            results = _Results(program, f".{node}" if with_node_names else "")
            found[node] = results
            results.open(f"{folders[node]}/{WORK_FOLDER}")
            return Fetching(node, results, request, target, space, progress).carried_out()

    nodes = tuple(folders)
    ended = on_each(nodes, work, transfers=transfers, fanout=_AT_ONCE, listener=listener)
    return {one.node: _brought(one, found.get(one.node)) for one in ended}


def _brought(result: FilesResult, found: "_Results | None") -> Brought:
    if found is None:
        return Brought(result=result, is_gone=False, unmatched=())
    return Brought(result=result, is_gone=found.is_gone, unmatched=tuple(found.unmatched))


class _Results:
    """The results of one copy: `FoundFiles` in its work folder. No link is followed, and each name comes once."""

    def __init__(self, program: FileProgram, ending: str) -> None:
        self._program = program
        self._ending = ending
        self._there: dict[str, str] = {}
        """The name in the work folder, by the name here."""
        self.problems: list[FileError] = []
        self.left_out: list[LeftOut] = []
        self.unmatched: list[str] = []
        self.is_gone = False

    def open(self, folder: str) -> None:
        """Enter the work folder."""
        opened = self._program.open(folder, folder=True)
        self.is_gone = not opened.exists
        if self.is_gone:
            raise NodeRefusedError("its work folder is gone")

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
