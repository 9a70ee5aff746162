"""The lines of a run that goes on, for a terminal that they are drawn on again and again."""

from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.text import escape_line, span

_BAR: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTurn:
    """A turn that runs: step `at` of `of`, for `seconds`."""

    node: NodeName
    step: str
    at: int
    of: int
    seconds: float
    note: str = ""
    """Such as `attempt 2`, `rollback`, `waits`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlay:
    """A run at one moment. `counts`: nodes whose turn has ended, by result."""

    total: int
    counts: tuple[tuple[str, int], ...]
    turns: tuple[LiveTurn, ...]
    holding: str = ""
    seconds: float = 0.0


def live_lines(play: LivePlay, width: int, rows: int) -> tuple[str, ...]:
    """At most `rows` lines of less than `width` columns: the turns that have taken longest, and a bar of all nodes."""
    room = max(1, rows - 1 - bool(play.holding))
    turns = play.turns if len(play.turns) <= room else play.turns[: room - 1]
    named = max((len(one.node) for one in turns), default=0)
    lines = [_turn(one, named, width) for one in turns]
    if len(turns) < len(play.turns):
        lines.append(f"  and {len(play.turns) - len(turns)} more")
    if play.holding:
        lines.append(f"  waits: {escape_line(play.holding)}")
    lines.append(_total(play))
    return tuple(line[: max(1, width - 1)] for line in lines[-rows:])


def _turn(one: LiveTurn, named: int, width: int) -> str:
    """A long name of a step is cut, so that what follows it is seen."""
    before = f"  {escape_line(one.node):{named}}  {one.at}/{one.of} "
    after = f"{f', {one.note}' if one.note else ''}  {span(one.seconds)}"
    step, room = escape_line(one.step), width - 1 - len(before) - len(after)
    return f"{before}{step if len(step) <= room else f'{step[: max(0, room - 1)]}…'}{after}"


def _total(play: LivePlay) -> str:
    ended = sum(count for _, count in play.counts)
    filled = ended * _BAR // play.total if play.total else _BAR
    counts = "".join(f", {count} {word}" for word, count in play.counts if count)
    bar = "#" * filled + "." * (_BAR - filled)
    return f"[{bar}] {ended}/{play.total} nodes{counts}, {len(play.turns)} running, {span(play.seconds)}"
