"""The progress of a run: lines that are drawn over themselves on a terminal; elsewhere one line for what fails."""

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from clbalance.cli.console import Console
from clbalance.cli.play.trail import PlayTrail
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeChanged, NodeState, StepList, StepRecord, StepState
from clbalance.model.playbook import Playbook, Step
from clbalance.render import messages
from clbalance.render.reports.play.live import LivePlay, LiveTurn, live_lines

_EVERY_S: Final = 0.2
_ROWS: Final = 16
"""The most lines on a large terminal: what scrolled away before stays in sight."""
_SHOWN_STATES: Final = (
    ("ok", NodeState.OK),
    ("failed", NodeState.FAILED),
    ("uncertain", NodeState.UNCERTAIN),
    ("left out", NodeState.LEFT_OUT),
)
_BAD: Final = (NodeState.FAILED, NodeState.UNCERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    step: str
    index: int
    since: float
    note: str


class LiveArea:
    """Some lines at the bottom of the terminal of standard error. Without a terminal it shows nothing."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._drawn: tuple[str, ...] = ()
        if shown:
            # Not a handler: `SimpleQueue.get` may wait for ever if one runs once its time is over (CPython 3.11).
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})

    def draw(self, lines: Callable[[int, int], tuple[str, ...]]) -> None:
        """Draw `lines` of a width and a height over the last ones, unless it is in the background."""
        if not self._shown or not _is_in_foreground():
            return
        size = os.get_terminal_size(2)
        text = lines(size.columns or 80, max(2, min(_ROWS, (size.lines or 24) - 2)))
        sys.stderr.write(self._back() + "\n".join(text))
        sys.stderr.flush()
        self._drawn = text

    def clear(self) -> None:
        """Erase it: a line is about to be written, or it is over."""
        if self._drawn:
            sys.stderr.write(self._back())
            sys.stderr.flush()
            self._drawn = ()

    def _back(self) -> str:
        """To the first line that was drawn. A terminal that is narrower now has broken long lines.

        After Ctrl-Z and `fg` a shell's own lines stand below: then it begins there.
        """
        if signal.sigtimedwait({signal.SIGCONT}, 0) is not None:
            self._drawn = ()
        columns = os.get_terminal_size(2).columns or 80
        rows = sum(max(1, -(-len(line) // columns)) for line in self._drawn)
        return f"\r\x1b[{rows - 1}A\x1b[J" if rows > 1 else "\r\x1b[J"


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # not our controlling terminal
        return True


class PlayProgress:
    """A `PlayListener`."""

    def __init__(
        self,
        console: Console,
        playbook: Playbook,
        total: int,
        trail: PlayTrail,
        *,
        each_step: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._playbook = playbook
        self._total = total
        self._trail = trail
        self._each_step = each_step
        self._clock = clock
        self._began = clock()
        self._next_at = 0.0
        self._states: dict[NodeName, NodeState] = {}
        self._turns: dict[NodeName, _At] = {}
        self._holding = ""
        self._is_live = not console.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._area = LiveArea(shown=self._is_live)

    # -- events

    def node_changed(self, changed: NodeChanged) -> None:
        self._states[changed.node] = changed.state
        self._turns.pop(changed.node, None)
        if changed.state is NodeState.RUNNING:
            self._turns[changed.node] = _At(step="begins", index=0, since=self._clock(), note="")
        elif changed.state in _BAD:
            back = ", rolled back" if changed.rolled_back else ""
            self._complain(f"{changed.node} {changed.state.value}{back}: {changed.reason}")
        elif changed.state is NodeState.LEFT_OUT:
            self._say(f"{changed.node} left out: {changed.reason}")
        self._draw(now=False)

    def step_begins(self, record: StepRecord, step: Step) -> None:
        notes = ["rollback"] if record.steps is StepList.ROLLBACK else []
        if record.attempt > 1:
            notes.append(f"attempt {record.attempt}")
        at = _At(step=step.name, index=record.index, since=self._clock(), note=", ".join(notes))
        self._turns[record.node] = at
        self._draw(now=False)

    def step_ended(self, record: StepRecord, step: Step) -> None:
        self._trail.step_ended(record, step)
        ended = record.ended
        if ended is None:
            return
        if ended.state is StepState.REFUSED:
            before = self._turns[record.node]
            self._turns[record.node] = _At(step=before.step, index=before.index, since=before.since, note="waits")
            if self._each_step and record.attempt == 1:
                self._say(f"{record.node} waits: {ended.reason}")
        elif self._each_step:
            reason = f": {ended.reason}" if ended.reason else ""
            self._say(f"{record.node} {step.name} {ended.state.value}{reason}")
        self._draw(now=False)

    def holds(self, why: str, until: datetime | None) -> None:
        when = f", until {until.astimezone():%H:%M:%S}" if until is not None else ""
        if why and why != self._holding.partition(", until ")[0] and not self._is_live and self._each_step:
            self._say(f"{why}{when}")
        self._holding = f"{why}{when}" if why else ""

    def warn(self, node: NodeName, what: str) -> None:
        self._complain(f"{node}: {what}")

    def waits(self) -> float:
        self._draw(now=False)
        return _EVERY_S if self._is_live else 3600.0

    def clear(self) -> None:
        """Leave the terminal to others: a question, or the end."""
        self._area.clear()

    # -- what is shown

    def _say(self, text: str) -> None:
        self._area.clear()
        self._console.say(messages.note(text))
        self._next_at = 0.0

    def _complain(self, text: str) -> None:
        self._area.clear()
        self._console.complain(messages.warning(text))
        self._next_at = 0.0

    def _draw(self, *, now: bool) -> None:
        if now or self._clock() >= self._next_at:
            self._area.draw(lambda width, rows: live_lines(self._live(), width, rows))
            self._next_at = self._clock() + _EVERY_S

    def _live(self) -> LivePlay:
        now = self._clock()
        return LivePlay(
            total=self._total,
            counts=tuple((word, sum(one is state for one in self._states.values())) for word, state in _SHOWN_STATES),
            turns=tuple(self._turn(node, at, now) for node, at in self._turns.items()),
            holding=self._holding,
            seconds=now - self._began,
        )

    def _turn(self, node: NodeName, at: _At, now: float) -> LiveTurn:
        steps = self._playbook.rollback if at.note.startswith("rollback") else self._playbook.steps
        return LiveTurn(
            node=node,
            step=at.step,
            at=min(at.index + 1, len(steps)),
            of=len(steps),
            seconds=now - at.since,
            note=at.note,
        )
