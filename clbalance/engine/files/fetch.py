"""Fetch files and folders from nodes: on each, look at what is there, plan, and read what differs."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from clbalance.engine.files.remote_sources import ArrivingFile, RemoteSources
from clbalance.engine.files.transfers import Progress, Transfers, on_each
from clbalance.engine.files.values import FileError, NodeRefusedError, check_deletions, conflict_reason, failure_of
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import (
    MOST_ENTRIES,
    Entry,
    FileKind,
    FilesResult,
    LeftOut,
    Manifest,
    ManifestError,
    top_of,
)
from clbalance.policy.files.plan import FilePlan, plan_copy
from clbalance.ports import FileListener
from clbalance.units import format_size
from clbalance.user_files.trees.writing import TreeWriter

_SHOWN_PROBLEMS = 20
_LEAST_ENTRIES = 100_000
"""For each node, however many nodes there are."""
_GROWTH_BYTES = 256 << 20
"""Log files grow between the list and their content; all files of a node together may by so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What is fetched, and how."""

    sources: tuple[str, ...]
    """Names and patterns on the nodes, relative to the home folder there."""
    most_bytes: int
    """A node that has more is a failure."""
    most_entries: int = MOST_ENTRIES
    """The same for files and folders, of all nodes together; they are in memory."""
    checksum: bool = False
    sync: bool = False
    only_compare: bool = False
    may_delete: Mapping[NodeName, frozenset[str]] | None = None
    """The same as for `CopyRequest`, with the sides exchanged."""


class Space:
    """The space on the disk here, which the nodes share."""

    def __init__(self, free_bytes: int) -> None:
        self._lock = threading.Lock()
        self._free_bytes = free_bytes

    def reserve(self, size: int) -> None:
        """Take so much of it. `NodeRefusedError` if there is less."""
        with self._lock:
            if size > self._free_bytes:
                raise NodeRefusedError(f"{format_size(size)} to fetch, and {format_size(self._free_bytes)} free here")
            self._free_bytes -= size


def fetch_from_nodes(
    transfers: Transfers,
    nodes: Sequence[NodeName],
    request: FetchRequest,
    *,
    writer: Callable[[], TreeWriter],
    fanout: int,
    listener: FileListener,
) -> tuple[FilesResult, ...]:
    """Fetch from each node; what became of it, in node order. Nodes fail alone. `writer`: writes to the folder here."""
    with writer() as first:
        space = Space(first.free_bytes())
    share = request.most_entries // len(nodes)
    most_entries = max(share, min(_LEAST_ENTRIES, request.most_entries))

    def work(node: NodeName, progress: Progress) -> FilesResult:
        with transfers.session(node) as program, writer() as target:
            sources = RemoteSources(program, node, checksum=request.checksum, most=most_entries)
            return Fetching(node, sources, request, target, space, progress).carried_out()

    return on_each(nodes, work, transfers=transfers, fanout=fanout, listener=listener)


class FoundFiles(Protocol):
    """What a node has of what is fetched, and under which names it is kept here."""

    problems: list[FileError]
    left_out: list[LeftOut]

    @property
    def tops(self) -> tuple[str, ...]:
        """The first parts of the names here, of all that was found."""
        ...

    def find(self, source: str) -> Iterator[Entry]:
        """What `source` names, with the names that it gets here, each folder before what is in it."""
        ...

    def read(self, entries: Iterable[Entry]) -> Iterator[ArrivingFile | FileError]:
        """The content of these files, whose names have one first part, in this order."""
        ...

    def shown(self, path: str) -> str:
        """A name here as the user knows it."""
        ...


class Fetching:
    """The fetch from one node."""

    def __init__(
        self,
        node: NodeName,
        sources: FoundFiles,
        request: FetchRequest,
        writer: TreeWriter,
        space: Space,
        progress: Progress,
    ) -> None:
        self._node = node
        self._sources = sources
        self._request = request
        self._writer = writer
        self._space = space
        self._progress = progress
        self._problems = sources.problems
        self._left_bytes = 0
        self._received_bytes: dict[str, int] = {}
        """Of each file that has come whole, by its name here."""

    def carried_out(self) -> FilesResult:
        try:
            found = Manifest.of(entry for source in self._request.sources for entry in self._sources.find(source))
            existing = Manifest.of(self._existing())
        except ManifestError as error:
            raise NodeRefusedError(str(error)) from error
        # What the node could not list may be there all the same: then nothing is deleted here.
        sync = self._request.sync and not self._problems
        plan = plan_copy(found, existing, checksum=self._request.checksum, sync=sync)
        self._progress.planned(plan)
        self._problems += [FileError(change.path, conflict_reason(change)) for change in plan.conflicts]
        if self._request.only_compare or plan.is_empty:
            return self._result(plan)
        check_deletions(plan, self._request.may_delete, self._node)
        if plan.size > self._request.most_bytes:
            most = format_size(self._request.most_bytes)
            raise NodeRefusedError(f"{format_size(plan.size)} to fetch, more than {most} (`--max-size`)")
        self._space.reserve(plan.size)
        return self._changed(plan)

    def _existing(self) -> list[Entry]:
        checksum = self._request.checksum
        try:
            return [entry for top in self._sources.tops for entry in self._writer.existing(top, checksum=checksum)]
        except OSError as error:
            raise NodeRefusedError(f"what was fetched before cannot be read: {error.strerror}") from error

    def _changed(self, plan: FilePlan) -> FilesResult:
        writer = self._writer
        for entry in plan.delete:
            writer.delete(entry)
        deleted = writer.commit() if plan.delete else 0
        for entry in plan.folders:
            writer.make_folder(entry)
        self._left_bytes = plan.size + _GROWTH_BYTES
        for _, group in groupby(plan.files, key=lambda entry: top_of(entry.path)):
            entries = list(group)
            for entry, file in zip(entries, self._sources.read(entries), strict=True):
                self._take(entry, file)
        for entry in plan.attributes:
            if entry.kind is FileKind.FILE:
                writer.set_attributes(entry)
        sent = writer.commit()
        folders = [*plan.folders, *(entry for entry in plan.attributes if entry.kind is FileKind.FOLDER)]
        for entry in reversed(folders):  # the deepest first: a folder may get a mode in which we cannot write
            writer.set_attributes(entry)
        for path, reason in writer.problems():
            self._problems.append(FileError(path, reason))
            self._received_bytes.pop(path, None)
        return self._result(plan, sent=sent, deleted=deleted, folders=len(plan.folders))

    def _result(self, plan: FilePlan, *, sent: int = 0, deleted: int = 0, folders: int = 0) -> FilesResult:
        problems = map(str, self._problems[1:_SHOWN_PROBLEMS])  # the first is in `failure`
        left_out = (f"{one.path}: left out: {one.reason}" for one in self._sources.left_out[:_SHOWN_PROBLEMS])
        return FilesResult(
            node=self._node,
            sent=sent,
            sent_bytes=sum(self._received_bytes.values()),
            same=len(plan.same),
            folders=folders,
            deleted=deleted,
            failure=failure_of(self._problems),
            warnings=(*problems, *left_out),
        )

    def _take(self, entry: Entry, file: ArrivingFile | FileError) -> None:
        if isinstance(file, FileError):
            self._problems.append(FileError(self._sources.shown(entry.path), file.reason))
            return
        self._left_bytes -= file.size
        if self._left_bytes < 0:
            raise NodeRefusedError(f"it sends more than it announced: {entry.path}")
        writer = self._writer
        writer.begin(replace(entry, size=file.size, mtime_ns=file.mtime_ns, mode=file.mode))
        try:
            for piece in file:
                if not writer.has_problem(entry.path):
                    writer.piece(piece)
                self._progress.moved(len(piece))
            writer.end(file.checksum)
            self._received_bytes[entry.path] = file.size
        except FileError as error:
            writer.abort()
            self._problems.append(FileError(self._sources.shown(entry.path), error.reason))
