"""What `copy` and `fetch` report: a transfer with a failure, and what differs."""

from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult
from clbalance.policy.files.plan import Change, ChangeKind
from clbalance.render.report import Report
from clbalance.render.reports.files.transfer import FilesReport
from tests.render.examples import Example, one_file

_NODES = tuple(NodeName(f"node{number}") for number in (1, 2, 3))


def _entry(path: str, kind: FileKind = FileKind.FILE, size: int = 2048, mode: int = 0o644) -> Entry:
    return Entry(path=path, kind=kind, size=size, mtime_ns=10**18, mode=mode)


_CHANGES = (
    Change(kind=ChangeKind.CHANGED, before=_entry("app/app.conf"), after=_entry("app/app.conf", size=4096)),
    Change(kind=ChangeKind.CHANGED, before=_entry("app/same-size"), after=_entry("app/same-size")),
    Change(kind=ChangeKind.MODE, before=_entry("app/start.sh"), after=_entry("app/start.sh", mode=0o755)),
    Change(kind=ChangeKind.MODE, before=_entry("app/touched"), after=_entry("app/touched")),
    Change(kind=ChangeKind.NEW, before=None, after=_entry("app/new", FileKind.FOLDER, size=0)),
    Change(kind=ChangeKind.DELETED, before=_entry("app/old"), after=None),
    Change(kind=ChangeKind.CONFLICT, before=_entry("app/x", FileKind.LINK), after=_entry("app/x")),
)
_RESULTS = (
    FilesResult(node=_NODES[0], sent=3, sent_bytes=6144, same=2, folders=1, deleted=1, elapsed_s=0.5),
    FilesResult(node=_NODES[1], sent=3, sent_bytes=6144, same=2, folders=1, deleted=1, elapsed_s=0.75),
    FilesResult(node=_NODES[2], failure="unreachable: No route to host", elapsed_s=0.25),
)
_DONE = FilesReport(verb="copy", results=_RESULTS, elapsed_s=1.25)
_DIFF = FilesReport(
    verb="fetch",
    results=tuple(FilesResult(node=node, same=2, elapsed_s=0.5) for node in _NODES[:2]),
    elapsed_s=1.25,
    changes={_NODES[0]: _CHANGES, _NODES[1]: _CHANGES[:3]},
    only_compared=True,
    planned={_NODES[0]: (3, 6144, 1), _NODES[1]: (2, 6144, 0)},
)


def _said(report: FilesReport) -> str:
    return "".join(f"{line}\n" for line in (*report.failures(), *report.warnings(), report.summary()))


EXAMPLES = (
    Example("files", (_DONE,), one_file("files-human.txt", "80", "140", "pipe"), beside=_said(_DONE)),
    Example("files-diff", (_DIFF,), beside=_said(_DIFF)),
)


def hostile(one: str, other: str) -> list[Report]:
    node = NodeName(one)
    changes = [Change(kind=kind, before=_entry(other), after=_entry(other)) for kind in ChangeKind]
    results = (FilesResult(node=node, failure=other, warnings=(other,)),)
    return [FilesReport(verb="copy", results=results, elapsed_s=0.0, changes={node: changes})]
