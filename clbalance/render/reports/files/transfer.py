"""The report of `copy` and `fetch`: what differs, what was transferred, and which nodes failed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import Entry, FileKind, FilesResult
from clbalance.nodeset import fold
from clbalance.policy.files.plan import Change, ChangeKind
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import Json, duration, escape_line, iec
from clbalance.units import counted

_MOST_ROWS = 10_000
_TONES: Mapping[ChangeKind, Tone] = {
    ChangeKind.NEW: Tone.GOOD,
    ChangeKind.DELETED: Tone.BAD,
    ChangeKind.CONFLICT: Tone.BAD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesReport(Report):
    """What became of it on each node."""

    verb: str
    """`copy` or `fetch`."""
    results: tuple[FilesResult, ...]
    elapsed_s: float
    changes: Mapping[NodeName, Sequence[Change]] | None = None
    """What differs, for `--diff`; None: not asked for."""
    only_compared: bool = False
    """Nothing was changed: `--diff`, `--dry-run`."""
    planned: Mapping[NodeName, tuple[int, int, int]] | None = None
    """With `only_compared`: how many files would be transferred, their bytes, and how many names deleted."""

    @property
    def failed(self) -> tuple[FilesResult, ...]:
        """The nodes on which something failed."""
        return tuple(one for one in self.results if one.failure is not None)

    def human(self, display: Display) -> str:
        """What differs; the rest is said on stderr, by `summary` and `failures`."""
        rows = list(self._rows())
        if not rows:
            return ""
        columns = (
            Column(heading="CHANGE"),
            Column(heading="NODES"),
            Column(heading="DETAIL", sacrifice=1),
            Column(heading="NAME"),
        )
        more = f"... and {len(rows) - _MOST_ROWS:,} more\n" if len(rows) > _MOST_ROWS else ""
        return display.table(Table(columns=columns, rows=tuple(rows[:_MOST_ROWS])), last="fold") + more

    def plain(self) -> str:
        """With `--diff` a line for each change, otherwise for each node: state, files, bytes, same, deleted, reason."""
        if self.changes is not None:
            return plain_lines(
                (node, change.kind.value, change.path) for node, some in self.changes.items() for change in some
            )
        return plain_lines(
            (one.node, _state(one), one.sent, one.sent_bytes, one.same, one.deleted, one.failure)
            for one in self.results
        )

    def json(self) -> Mapping[str, Json]:
        """The nodes in the order in which they were named, and the sums."""
        return {
            "nodes": [self._node(one) for one in self.results],
            "sent": sum(one.sent for one in self.results),
            "sent_bytes": sum(one.sent_bytes for one in self.results),
            "same": sum(one.same for one in self.results),
            "deleted": sum(one.deleted for one in self.results),
            "elapsed_s": round(self.elapsed_s, 3),
            "dry_run": self.only_compared,
        }

    def failures(self) -> Iterator[str]:
        """A line for each node that failed; those that failed alike are in one."""
        return _by_text((one.node, one.failure or "") for one in self.failed)

    def warnings(self) -> Iterator[str]:
        """What was left out on nodes."""
        return _by_text((one.node, text) for one in self.results for text in one.warnings)

    def summary(self) -> str:
        """One line."""
        done = [one for one in self.results if one.failure is None or one.sent]
        where = "to" if self.verb == "copy" else "from"
        if self.only_compared:
            said = self._would(where)
        else:
            past = "copied" if self.verb == "copy" else "fetched"
            sent, size = sum(one.sent for one in self.results), sum(one.sent_bytes for one in self.results)
            said = f"{past} {counted(sent, 'file')} ({iec(size)}) {where} {counted(len(done), 'node')}"
        same, deleted = sum(one.same for one in self.results), sum(one.deleted for one in self.results)
        parts = [said, f"{same} the same" if same else "", f"{deleted} deleted" if deleted else ""]
        text = ", ".join(filter(None, parts)) + f", in {duration(self.elapsed_s)}"
        if not self.failed:
            return text
        return f"{text}; failed on {len(self.failed)} of {len(self.results)} nodes: " + escape_line(
            fold(one.node for one in self.failed)
        )

    def _would(self, where: str) -> str:
        planned = (self.planned or {}).values()
        files, size, deleted = (sum(one[at] for one in planned) for at in range(3))
        more = f" and delete {deleted}" if deleted else ""
        return f"would {self.verb} {counted(files, 'file')} ({iec(size)}) {where} {counted(len(planned), 'node')}{more}"

    def _rows(self) -> Iterator[tuple[Cell, ...]]:
        """A row for each change, with all nodes that have it alike."""
        nodes: dict[tuple[str, ChangeKind, str], list[NodeName]] = {}
        for node, changes in (self.changes or {}).items():
            for change in changes:
                nodes.setdefault((change.path, change.kind, _detail(change)), []).append(node)
        for (path, kind, detail), some in nodes.items():
            tone = _TONES.get(kind, Tone.WARN)
            yield Cell(kind.value, tone), Cell(fold(some)), Cell(detail), Cell(path)

    def _node(self, one: FilesResult) -> Mapping[str, Json]:
        changes = {} if self.changes is None else {"changes": list(map(_json, self.changes.get(one.node, ())))}
        would = (self.planned or {}).get(one.node)
        planned: Mapping[str, Json] = (
            {} if would is None else dict(zip(("would_send", "would_send_bytes", "would_delete"), would, strict=True))
        )
        return {
            "name": one.node,
            "state": _state(one),
            "reason": one.failure,
            "sent": one.sent,
            "sent_bytes": one.sent_bytes,
            "same": one.same,
            "folders": one.folders,
            "deleted": one.deleted,
            "elapsed_s": round(one.elapsed_s, 3),
            "warnings": list(one.warnings),
            **planned,
            **changes,
        }


def _by_text(said: Iterable[tuple[NodeName, str]]) -> Iterator[str]:
    nodes: dict[str, list[NodeName]] = {}
    for node, text in said:
        nodes.setdefault(text, []).append(node)
    return (f"{fold(some)}: {text}" for text, some in nodes.items())


def _state(one: FilesResult) -> str:
    return "done" if one.failure is None else "failed"


def _detail(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return _what(after or before)
    if change.kind is ChangeKind.CONFLICT:
        return f"{before.kind.value}, not {after.kind.value}"
    if change.kind is ChangeKind.MODE:
        return f"{before.mode:03o} -> {after.mode:03o}" if before.mode != after.mode else "time"
    return f"{iec(before.size)} -> {iec(after.size)}" if before.size != after.size else f"{iec(after.size)}, content"


def _what(entry: Entry | None) -> str:
    if entry is None:
        return ""
    return iec(entry.size) if entry.kind is FileKind.FILE else entry.kind.value


def _json(change: Change) -> Mapping[str, Json]:
    return {
        "path": change.path,
        "change": change.kind.value,
        "before": _entry_json(change.before),
        "after": _entry_json(change.after),
    }


def _entry_json(entry: Entry | None) -> Mapping[str, Json] | None:
    if entry is None:
        return None
    return {
        "kind": entry.kind.value,
        "size_bytes": entry.size,
        "mode": f"{entry.mode:04o}",
        "mtime_s": entry.mtime_ns / 1e9,
        "sha256": entry.sha256,
    }
