"""`copy` and `fetch` as steps, on one node."""

import contextlib
import threading
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from itertools import islice

from clbalance.engine.files.copy import copy_to_nodes
from clbalance.engine.files.fetch import FetchRequest, fetch_from_nodes
from clbalance.engine.files.transfers import Transfers
from clbalance.engine.files.values import CopyRequest, Source
from clbalance.engine.play.steps.programs import closed_when
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult, LeftOut, Manifest, ManifestError
from clbalance.model.play_run import MOST_OUTPUT_BYTES, Result, StepEnded, StepState
from clbalance.model.playbook import CopyFiles, FetchFiles
from clbalance.policy.files.plan import FilePlan
from clbalance.units import counted
from clbalance.user_files.trees.reading import open_source
from clbalance.user_files.trees.writing import TreeWriter, opened_folder

MOST_FETCHED_BYTES = 10 << 30
"""Of one node and one step, as `clbalance fetch` has it by default."""

_MOST_TOLD = 3
"""Of the files that were left out."""


class Quiet:
    """Is told the progress of a copy, and shows nothing."""

    def __init__(self) -> None:
        self.plan: FilePlan | None = None

    def asked(self, nodes: Collection[NodeName]) -> None:
        """Nothing."""

    def started(self, node: NodeName) -> None:
        """Nothing."""

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        """Keep what would be done, for check mode."""
        self.plan = plan

    def moved(self, node: NodeName, count_bytes: int) -> None:
        """Nothing."""

    def ended(self, result: FilesResult) -> None:
        """Nothing."""

    def idle(self) -> None:
        """Nothing."""

    def done(self) -> None:
        """Nothing."""


def copy_step(
    transfers: Transfers,
    node: NodeName,
    action: CopyFiles,
    folder: str,
    stop: threading.Event,
    *,
    timeout_s: float | None = None,
    compare: bool = False,
) -> StepEnded:
    """Copy to one node. `folder`: of the playbook, to which sources are relative. `compare`: change nothing."""
    listener = Quiet()
    left_out: list[str] = []
    with contextlib.ExitStack() as opened:
        try:
            request = CopyRequest(
                sources=tuple(_source(_beside(folder, path), opened, action, left_out) for path in action.sources),
                destination=action.destination,
                checksum=action.checksum,
                sync=action.sync,
                only_compare=compare,
                into_shared_folder=action.into_shared_folder,
            )
        except (UsageError, ManifestError, OSError) as error:
            return StepEnded(state=StepState.FAILED, reason=str(error), changed=False)
        with closed_when(transfers, stop, timeout_s):
            (result,) = copy_to_nodes(transfers, [node], request, fanout=1, listener=listener)
    if compare:
        return _would(listener.plan, result)
    return _ended(listener.plan, replace(result, warnings=(*left_out, *result.warnings)))


def fetch_step(
    transfers: Transfers,
    node: NodeName,
    action: FetchFiles,
    stop: threading.Event,
    *,
    timeout_s: float | None = None,
    compare: bool = False,
) -> StepEnded:
    """Fetch from one node, into a folder of this host."""
    request = FetchRequest(sources=action.sources, most_bytes=MOST_FETCHED_BYTES, only_compare=compare)
    listener = Quiet()
    try:
        with opened_folder(action.folder) as folder, closed_when(transfers, stop, timeout_s):
            (result,) = fetch_from_nodes(
                transfers, [node], request, writer=partial(TreeWriter, folder), fanout=1, listener=listener
            )
    except UsageError as error:
        return StepEnded(state=StepState.FAILED, reason=error.message, changed=False)
    return _would(listener.plan, result) if compare else _ended(listener.plan, result, "fetched")


def _beside(folder: str, path: str) -> str:
    """A slash at the end, which means the content of a folder, is kept."""
    return path if path.startswith("/") else f"{folder}/{path}"


def _source(path: str, opened: contextlib.ExitStack, action: CopyFiles, left_out: list[str]) -> Source:
    """What is copied of one path; links and the like, which are not, come into `left_out`."""
    tree = opened.enter_context(open_source(path))
    found = list(tree.walk(checksum=action.checksum))
    left_out += (f"{one.path}: left out: {one.reason}" for one in found if isinstance(one, LeftOut))
    entries = (one for one in found if not isinstance(one, LeftOut))
    manifest = Manifest.of(entries if action.mode is None else (_with_mode(one, action.mode) for one in entries))
    return Source(tree=tree, manifest=manifest, only_content=path.endswith("/"))


def _with_mode(entry: Entry, mode: int) -> Entry:
    """A folder that may be read may also be entered."""
    match entry.kind:
        case FileKind.FILE:
            return replace(entry, mode=mode)
        case FileKind.FOLDER:
            return replace(entry, mode=mode | (mode & 0o444) >> 2)
        case _:
            return entry


def _ended(plan: FilePlan | None, result: FilesResult, how: str = "sent") -> StepEnded:
    if result.failure is not None or plan is None:
        return StepEnded(state=StepState.FAILED, reason=result.failure or "it did not answer")
    said = "all is there already" if plan.is_empty else f"{counted(result.sent, 'file')} {how}"
    said = "; ".join((said, *result.warnings[:_MOST_TOLD]))
    return StepEnded(state=StepState.OK, reason=said, result=_changes(plan), changed=not plan.is_empty)


def _would(plan: FilePlan | None, result: FilesResult) -> StepEnded:
    if result.failure is not None or plan is None:
        return StepEnded(state=StepState.FAILED, reason=result.failure or "it did not answer", changed=False)
    said = "all is there already" if plan.is_empty else f"would transfer {counted(len(plan.files), 'file')}"
    return StepEnded(state=StepState.OK, reason=said, result=_changes(plan), changed=not plan.is_empty)


def _changes(plan: FilePlan) -> Result:
    """The result that a step registers: one line for each name that is changed, none if all is as it should be."""
    lines = (f"{change.kind.value} {change.path}\n" for change in islice(plan.changes, MOST_OUTPUT_BYTES // 2))
    return Result(rc=0, out="".join(lines)[:MOST_OUTPUT_BYTES])
