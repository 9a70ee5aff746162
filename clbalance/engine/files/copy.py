"""Copy files and folders to nodes: on each, look at what is there, plan, and send what differs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from clbalance.engine.files.local_files import LargeFile, LocalFiles
from clbalance.engine.files.program import FileProgram, Opened
from clbalance.engine.files.sftp_session import SftpSession
from clbalance.engine.files.transfers import Progress, Transfers, on_each
from clbalance.engine.files.values import (
    CopyRequest,
    FileError,
    NodeRefusedError,
    check_deletions,
    conflict_reason,
    failure_of,
)
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult, Manifest, ManifestError
from clbalance.policy.files.plan import FilePlan, plan_copy
from clbalance.ports import FileListener

_SHOWN_PROBLEMS = 20


def copy_to_nodes(
    transfers: Transfers, nodes: Sequence[NodeName], request: CopyRequest, *, fanout: int, listener: FileListener
) -> tuple[FilesResult, ...]:
    """Copy to each node; what became of it, in node order. Nodes fail alone.

    May be called in any thread; `transfers.close` in another thread ends it.
    """
    local = LocalFiles(request.sources)

    def work(node: NodeName, progress: Progress) -> FilesResult:
        with transfers.session(node) as program:
            return copy_in_turn(program, node, [(request, local)], progress)

    return on_each(nodes, work, transfers=transfers, fanout=fanout, listener=listener)


def copy_in_turn(
    program: FileProgram | SftpSession,
    node: NodeName,
    requests: Sequence[tuple[CopyRequest, LocalFiles]],
    progress: Progress,
) -> FilesResult:
    """Copy one request after the other, up to the first that fails; the result of the last one."""
    result = FilesResult(node=node)
    for request, local in requests:
        result = _Copy(node, program, request, local, progress).carried_out()
        if result.failure is not None:
            break
    return result


class _Copy:
    """The copy to one node."""

    def __init__(
        self,
        node: NodeName,
        program: FileProgram | SftpSession,
        request: CopyRequest,
        local: LocalFiles,
        progress: Progress,
    ) -> None:
        self._node = node
        self._program = program
        self._request = request
        self._source = local.manifest
        self._local = local
        self._progress = progress
        self._problems: list[FileError] = []
        self._sent_bytes: dict[str, int] = {}
        """Of each file that was sent whole, by its name there."""

    def carried_out(self) -> FilesResult:
        request = self._request
        opened = self._program.open(
            request.destination, folder=request.is_into_folder, into_shared_folder=request.into_shared_folder
        )
        self._place(opened)
        plan = plan_copy(self._source, self._target(), checksum=request.checksum, sync=request.sync)
        self._progress.planned(plan)
        if request.only_compare or (plan.is_empty and not plan.conflicts):
            return FilesResult(node=self._node, same=len(plan.same))
        check_deletions(plan, request.may_delete, self._node)
        if opened.into and not opened.exists:
            self._place(self._program.make())
        return self._changed(plan)

    def _place(self, opened: Opened) -> None:
        """Decide under which name there the top of the sources is."""
        self._top_there: str | None = None
        if self._request.sources[0].only_content:
            self._top_there = ""
        elif not opened.into:
            self._top_there = opened.name

    def _there(self, path: str) -> str:
        """The name on the node of what has the name `path` in the source."""
        if self._top_there is None:
            return path
        _, slash, rest = path.partition("/")
        return f"{self._top_there}{slash}{rest}" if self._top_there else rest

    def _target(self) -> Manifest:
        """What is there under the names of the source, and with `sync` all that is below them."""
        checksum = self._request.checksum
        try:
            if self._request.sync:
                return Manifest.of(self._readable(self._walked(checksum=checksum)))
            paths = list(self._source.entries)
            looks = self._program.look(map(self._there, paths), checksum=checksum)
            found = (
                replace(entry, path=path) if isinstance(entry, Entry) else entry
                for path, entry in zip(paths, looks, strict=True)
            )
            return Manifest(entries={entry.path: entry for entry in self._readable(found)})
        except ManifestError as error:
            raise NodeRefusedError(str(error)) from error

    def _walked(self, *, checksum: bool) -> Iterator[Entry | FileError]:
        for top in (entry.path for entry in self._source if "/" not in entry.path):
            for found in self._program.walk(self._there(top), checksum=checksum):
                if isinstance(found, Entry):
                    yield replace(found, path=f"{top}/{found.path}" if found.path else top)
                else:
                    yield found

    def _readable(self, found: Iterable[Entry | FileError | None]) -> Iterator[Entry]:
        for entry in found:
            if isinstance(entry, FileError):
                self._problems.append(entry)
            elif entry is not None:
                yield entry

    def _changed(self, plan: FilePlan) -> FilesResult:
        program = self._program
        program.delete(self._there(entry.path) for entry in plan.delete)
        deleted = program.commit() if plan.delete else 0
        program.make_folders(path for entry in plan.folders if (path := self._there(entry.path)))
        for entry in plan.files:
            self._send(entry)
        for entry in plan.attributes:
            if entry.kind is FileKind.FILE:
                program.set_attributes(self._there(entry.path), entry)
        sent = program.commit()
        folders = [*plan.folders, *(entry for entry in plan.attributes if entry.kind is FileKind.FOLDER)]
        for entry in reversed(folders):  # the deepest first: a folder may get a mode in which we cannot write
            program.set_attributes(self._there(entry.path), entry)
        program.commit()
        self._problems += [FileError(change.path, conflict_reason(change)) for change in plan.conflicts]
        refused = program.problems()
        self._problems += refused
        for one in refused:
            self._sent_bytes.pop(one.path, None)
        return FilesResult(
            node=self._node,
            sent=sent,
            sent_bytes=sum(self._sent_bytes.values()),
            same=len(plan.same),
            folders=len(plan.folders),
            deleted=deleted,
            failure=failure_of(self._problems),
            warnings=tuple(map(str, self._problems[1:_SHOWN_PROBLEMS])),
        )

    def _send(self, entry: Entry) -> None:
        path = self._there(entry.path)
        try:
            file = self._local.open(entry)
        except FileError as error:
            self._problems.append(error)
            return
        if isinstance(file, LargeFile):
            self._send_large(path, file)
        else:
            self._program.send_whole(path, file.entry, file.checksum, file.content)
            self._progress.moved(len(file.content))
            self._sent_bytes[path] = len(file.content)

    def _send_large(self, path: str, file: LargeFile) -> None:
        try:
            self._program.begin(path, file.entry)
            for piece in file.pieces():
                if self._program.has_problem(path):
                    break
                self._program.piece(piece)
                self._progress.moved(len(piece))
            if file.checksum:
                self._program.end(file.checksum)
                self._sent_bytes[path] = file.entry.size
            else:
                self._program.abort()
        except FileError as error:
            self._program.abort()
            self._problems.append(error)
        finally:
            file.close()
