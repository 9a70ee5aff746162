"""The list of runs: `play --history`."""

from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import NodeState, PlaySummary, RunState
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration, stamp

PLAY_FIELDS = (
    "run",
    "playbook",
    "by",
    "started_at",
    "seconds",
    "state",
    "ok",
    "failed",
    "not_started",
    "reason",
    "rolls_back",
)
"""The fields in plain text, a line for each run."""

_COLUMNS = (
    Column(heading="RUN", align="right"),
    Column(heading="PLAYBOOK"),
    Column(heading="BY", sacrifice=2),
    Column(heading="STARTED", sacrifice=1),
    Column(heading="TOOK", align="right", sacrifice=3),
    Column(heading="STATE"),
    Column(heading="OK", align="right"),
    Column(heading="FAILED", align="right"),
    Column(heading="NOT STARTED", align="right"),
    Column(heading="REASON"),
)
TONES = {
    RunState.RUNNING: Tone.PLAIN,
    RunState.COMPLETED: Tone.GOOD,
    RunState.STOPPED: Tone.BAD,
    RunState.PAUSED: Tone.WARN,
    RunState.INTERRUPTED: Tone.WARN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayHistoryReport(Report):
    """Runs, newest first. Times are shown in the time zone of `now`."""

    runs: tuple[PlaySummary, ...]
    now: datetime

    def human(self, display: Display) -> str:
        """The table; empty without runs."""
        if not self.runs:
            return ""
        return display.table(Table(columns=_COLUMNS, rows=tuple(self._cells(one) for one in self.runs)), last="cut")

    def _cells(self, one: PlaySummary) -> tuple[Cell, ...]:
        run, counts = one.run, _counts(one)
        seconds = _seconds(one, self.now)
        started = run.started_at.astimezone(self.now.tzinfo)
        return (
            Cell(str(run.number)),
            Cell(run.playbook if run.rolls_back is None else f"{run.playbook}, rollback of {run.rolls_back}"),
            Cell(run.by),
            Cell(stamp(started, self.now)),
            Cell(DASH if seconds is None else duration(seconds)),
            Cell(run.state.value, TONES[run.state]),
            *(Cell(str(count)) for count in counts),
            Cell(run.reason),
        )

    def plain(self) -> str:
        """The `PLAY_FIELDS` of each run."""
        return plain_lines(
            (
                one.run.number,
                one.run.playbook,
                one.run.by,
                one.run.started_at.isoformat(),
                _seconds(one, self.now),
                one.run.state.value,
                *_counts(one),
                one.run.reason or None,
                one.run.rolls_back,
            )
            for one in self.runs
        )

    def json(self) -> dict[str, Json]:
        return {"runs": [self._document(one) for one in self.runs]}

    def _document(self, one: PlaySummary) -> Json:
        run, (ok, failed, not_started) = one.run, _counts(one)
        return {
            "run": run.number,
            "playbook": run.playbook,
            "file": run.file,
            "by": run.by,
            "started_at": run.started_at.isoformat(),
            "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
            "seconds": _seconds(one, self.now),
            "state": run.state.value,
            "reason": run.reason or None,
            "continued": run.continued,
            "rolls_back": run.rolls_back,
            "ok": ok,
            "failed": failed,
            "not_started": not_started,
        }


def _counts(one: PlaySummary) -> tuple[int, int, int]:
    """Nodes that are done, that failed or whose turn was interrupted, and that were not started or left out."""
    counts = one.counts
    failed = sum(counts.get(state, 0) for state in (NodeState.FAILED, NodeState.UNCERTAIN))
    if one.run.state is not RunState.RUNNING:
        failed += counts.get(NodeState.RUNNING, 0)
    not_started = counts.get(NodeState.NOT_STARTED, 0) + counts.get(NodeState.LEFT_OUT, 0)
    return counts.get(NodeState.OK, 0), failed, not_started


def _seconds(one: PlaySummary, now: datetime) -> float | None:
    """How long it took, or has taken so far; None: it was killed, and nobody knows when."""
    if one.run.state is RunState.RUNNING:
        return round((now - one.run.started_at).total_seconds(), 3)
    ended = one.run.ended_at
    return None if ended is None else round((ended - one.run.started_at).total_seconds(), 3)
