"""One run and its nodes: `play --show`."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import NodeProgress, NodeState, PlayRun, RunState, StepList, StepRecord
from clbalance.model.playbook import Playbook
from clbalance.policy.play.outcome import state_left, step_name
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.play.result import SHOWN_STATES
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, Json, duration, escape_line, escape_text, stamp

SHOW_FIELDS = ("node", "state", "step", "reason", "rolled_back")
"""The fields in plain text, a line for each node."""

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="STEP"),
    Column(heading="TIME", align="right", sacrifice=1),
    Column(heading="REASON"),
)


class FileNow(StrEnum):
    """The playbook's file, compared with what was run."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


_REMARKS = {FileNow.SAME: "", FileNow.CHANGED: " (it has changed since)", FileNow.GONE: " (it cannot be read now)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayShow(Report):
    """`playbook` None: this version cannot read the recorded text. `each_step`: with what each step printed.

    `rollbacks`: the runs that roll this one back.
    """

    run: PlayRun
    nodes: tuple[NodeProgress, ...]
    playbook: Playbook | None
    file_now: FileNow
    each_step: bool = False
    rollbacks: tuple[int, ...] = ()

    def human(self, display: Display) -> str:
        facts = [(name, text) for name, text in self._facts() if text]
        width = max(len(name) for name, _ in facts)
        rolls_back = "" if self.run.rolls_back is None else f", rollback of run {self.run.rolls_back}"
        lines = [f"run {self.run.number}: {self.run.playbook}{rolls_back}"]
        lines += [f"  {name.ljust(width)}  {text}" for name, text in facts]
        text = "".join(f"{escape_line(line)}\n" for line in lines)
        rows = tuple(self._cells(one) for one in self.nodes)
        text += display.table(Table(columns=_COLUMNS, rows=rows), last="fold")
        return text + ("".join(self._steps()) if self.each_step else "")

    def _facts(self) -> Iterator[tuple[str, str]]:
        run = self.run
        yield "state", run.state.value + (f": {run.reason}" if run.reason else "")
        yield "by", f"{run.by} on {run.submit_host}" + ("" if run.pid is None else f", pid {run.pid}")
        yield "file", run.file + _REMARKS[self.file_now]
        yield "text", f"sha256 {run.text_hash}"
        yield "variables", " ".join(f"{name}={value}" for name, value in run.typed.items())
        yield "started", _moment(run.started_at)
        yield "ended", "" if run.ended_at is None else _moment(run.ended_at)
        yield (
            "continued",
            f"{run.continued} times, last {_moment(run.since or run.started_at)}" if run.continued else "",
        )

        yield "rolled back", ", ".join(f"by run {number}" for number in self.rollbacks)

    def _cells(self, one: NodeProgress) -> tuple[Cell, ...]:
        state = self._state(one)
        took = _took(one)
        return (
            Cell(one.node),
            Cell(*SHOWN_STATES[state]),
            Cell(self._stands_at(one) or DASH),
            Cell(DASH if took is None else duration(took)),
            Cell(self._reason(one)),
        )

    def _state(self, one: NodeProgress) -> str:
        return one.state.value if self.run.state is RunState.RUNNING else state_left(one, self.playbook)

    def _stands_at(self, one: NodeProgress) -> str:
        if not one.records or one.state is NodeState.OK:
            return ""
        return self._name(one.records[-1])

    def _name(self, record: StepRecord) -> str:
        name = step_name(self.playbook, record.steps, record.index)
        return f"rollback: {name}" if record.steps is StepList.ROLLBACK else name

    def _reason(self, one: NodeProgress) -> str:
        reason = one.reason
        if self._state(one) == NodeState.UNCERTAIN and not reason:
            reason = "it was begun, and its end is not known"
        return f"{reason} (rolled back)" if one.rolled_back else reason

    def _steps(self) -> Iterator[str]:
        """Each attempt with what it printed."""
        for one in self.nodes:
            for record in one.records:
                yield f"\n{escape_line(one.node)}: {escape_line(self._title(record))}\n"
                result = None if record.ended is None else record.ended.result
                if result is not None:
                    for text in (result.out, result.err):
                        yield "".join(f"  {line}\n" for line in escape_text(text).splitlines())

    def _title(self, record: StepRecord) -> str:
        attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
        at = f"{self._name(record)}{attempt}, {_moment(record.begun_at)}"
        if record.ended is None:
            return f"{at}: no end is known"
        seconds = ((record.ended_at or record.begun_at) - record.begun_at).total_seconds()
        reason = f": {record.ended.reason}" if record.ended.reason else ""
        return f"{at}: {record.ended.state.value} after {duration(seconds)}{reason}"

    def plain(self) -> str:
        """The `SHOW_FIELDS` of each node."""
        return plain_lines(
            (one.node, self._state(one), self._stands_at(one) or None, self._reason(one) or None, int(one.rolled_back))
            for one in self.nodes
        )

    def json(self) -> dict[str, Json]:
        run = self.run
        return {
            "run": run.number,
            "playbook": run.playbook,
            "file": run.file,
            "file_now": self.file_now.value,
            "text_sha256": run.text_hash,
            "variables": dict(run.typed),
            "by": run.by,
            "submit_host": run.submit_host,
            "pid": run.pid,
            "started_at": run.started_at.isoformat(),
            "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
            "continued": run.continued,
            "rolls_back": run.rolls_back,
            "rolled_back_by": list(self.rollbacks),
            "state": run.state.value,
            "reason": run.reason or None,
            "nodes": [self._node(one) for one in self.nodes],
        }

    def _node(self, one: NodeProgress) -> Json:
        return {
            "name": one.node,
            "state": self._state(one),
            "step": self._stands_at(one) or None,
            "reason": self._reason(one) or None,
            "rolled_back": one.rolled_back,
            "seconds": _took(one),
            "steps": [self._step(record) for record in one.records],
        }

    def _step(self, record: StepRecord) -> Json:
        ended = record.ended
        result = None if ended is None else ended.result
        return {
            "name": step_name(self.playbook, record.steps, record.index),
            "list": record.steps.value,
            "attempt": record.attempt,
            "begun_at": record.begun_at.isoformat(),
            "ended_at": None if record.ended_at is None else record.ended_at.isoformat(),
            "state": None if ended is None else ended.state.value,
            "reason": None if ended is None else ended.reason or None,
            "rc": None if result is None else result.rc,
            **({"out": result.out, "err": result.err} if self.each_step and result is not None else {}),
        }


def _took(one: NodeProgress) -> float | None:
    """From the first begin to the last end."""
    ends = [record.ended_at for record in one.records if record.ended_at is not None]
    return round((max(ends) - one.records[0].begun_at).total_seconds(), 3) if ends else None


def _moment(at: datetime) -> str:
    return stamp(at.astimezone())
