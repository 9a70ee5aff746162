"""One frame of `top`: lines for a screen of any size, none of them wider or more than it has."""

from collections.abc import Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.actions import asks_for
from clbalance.policy.top.keys import KEYS, Command, Keys
from clbalance.policy.top.state import Focus, TopState
from clbalance.policy.top.view import View
from clbalance.render.lines import Line, columns_of, cut, cut_line, padded
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Tone
from clbalance.render.text import span
from clbalance.render.top.item import Item, Items
from clbalance.render.top.narrow import Filter
from clbalance.render.top.round import Round
from clbalance.render.top.table_lines import TableLines, whole_table
from clbalance.units import counted

_TITLES = {
    View.NODES: "nodes",
    View.GPUS: "GPUs",
    View.JOBS: "jobs",
    View.USERS: "users",
    View.GROUPS: "groups",
}
_HINTS = ((Command.HELP, "help"), (Command.FILTER, "filter"), (Command.DETAILS, "details"), (Command.TAG, "tag"),
          (Command.QUIT, "quit"))  # fmt: skip
_FURNITURE = 4
"""Lines that are no rows: the counts, the views, the headings, and the last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is drawn."""

    found: Round
    state: TopState
    items: Items
    """The rows that are shown, in order."""
    table: TableLines
    """The same, as lines (`screen_table`)."""
    by: Filter
    age_s: float
    """Of the data."""
    message: str = ""
    """For the last line."""
    details: tuple[Line, ...] = ()
    question: str = ""
    """What an action is about to do."""
    keys: Keys = KEYS


def rows_on(height: int) -> int:
    """How many rows a screen of this height has."""
    return max(1, height - _FURNITURE)


def frame(scene: Scene, width: int, height: int, blocks: Blocks) -> tuple[Line, ...]:
    """The screen, from the top; at most `height` lines of at most `width` columns."""
    width, height = max(1, width), max(1, height)
    top = summary(scene.found, scene.age_s, width)
    match scene.state.focus:
        case Focus.HELP:
            inner: Sequence[Line] = _window(help_lines(scene.keys), scene.state.scrolled, height - 2)
        case Focus.DETAILS:
            inner = _window(scene.details, scene.state.scrolled, height - 2)
        case Focus.TABLE | Focus.FILTER | Focus.QUESTION:
            inner = [_views(scene, is_told="login" in top[0].text), *_table(scene, rows_on(height))]
    lines = [top, *inner]
    kept = lines[: max(1, height - 1)]
    if height > 1:
        kept += [()] * (height - 1 - len(kept))
        kept.append(_last_line(scene, width, blocks))
    return tuple(cut_line(line, width, blocks.cut) for line in kept)


def summary(found: Round, age_s: float | None, width: int) -> Line:
    """Counts by state, jobs, the age of the data, and the logins that are held; on a narrow screen the first of them.

    `age_s` None: the time of the data instead.
    """
    if found.number == 0:
        return (Cell("no answer yet", Tone.STRONG),)
    states = ", ".join(f"{count} {state}" for state, count in found.counts().items())
    running = len(found.leased())
    age = f"{found.taken_at:%H:%M:%S}" if age_s is None else f"{span(age_s)} old"
    nodes = f"{counted(len(found.rows), 'node')}: {states}" if states else "no nodes"
    jobs, short = f"jobs: {running} running, {found.pending()} pending", f"jobs: {running} R, {found.pending()} PD"
    logins = [_logins(found)] if found.logins else []
    choices = ([nodes, age, jobs, *logins], [nodes, age, jobs], [nodes, age, short], [nodes, age])
    texts = ["  ".join(parts) for parts in choices]
    return (Cell(next((text for text in texts if columns_of(text) <= width), texts[-1]), Tone.STRONG),)


def _logins(found: Round) -> str:
    return counted(found.logins, "login")


def _views(scene: Scene, *, is_told: bool) -> Line:
    """The views, the present one in brackets, and what narrows it; the logins, if the line above has not told them."""
    state = scene.state
    cells = []
    for number, view in enumerate(View, 1):
        name = f"{number} {_TITLES[view]}"
        is_present = view is state.view
        cells += [Cell(f"[{name}]" if is_present else f" {name} ", Tone.STRONG if is_present else Tone.QUIET)]
    tagged = sum(item.key in state.tags for item in scene.items.items)
    told = [
        f"in {state.within.rpartition(':')[2]}" if state.within else "",
        f"by {state.grouping}" if state.grouping and (state.is_folded or state.view is View.GROUPS) else "",
        f"/{state.filter}" if state.filter else "",
        f"{counted(len(scene.items.items), 'row')}" if state.filter or state.within else "",
        f"{tagged} tagged" if tagged else "",
    ]
    logins = "" if is_told or not scene.found.logins else f"  {_logins(scene.found)}"
    return (*cells, Cell("  " + "  ".join(filter(None, told)), Tone.WARN), Cell(logins, Tone.QUIET))


def screen_table(items: Items, state: TopState, width: int, blocks: Blocks) -> TableLines:
    """The table on a screen of this width: before each row, there are signs."""
    return TableLines(whole_table(items, state), max(1, width) - GAP, blocks)


def _table(scene: Scene, count: int) -> Iterator[Line]:
    """The headings and `count` rows, with signs before those that are selected or tagged."""
    state, table, items = scene.state, scene.table, scene.items.items
    yield (Cell(" " * GAP), *table.headings)
    for at in range(state.place.first, min(state.place.first + count, len(items))):
        yield (*_gutter(items[at], state), *_chosen(table.row(at), items[at], state))


def _gutter(item: Item, state: TopState) -> Line:
    is_selected = item.key == state.place.selected
    return Cell(">" if is_selected else " ", Tone.STRONG), Cell("*" if item.key in state.tags else " ", Tone.WARN)


def _chosen(line: Line, item: Item, state: TopState) -> Line:
    if item.key != state.place.selected:
        return line
    return tuple(Cell(cell.text, Tone.CHOSEN) for cell in line)


def _last_line(scene: Scene, width: int, blocks: Blocks) -> Line:
    state = scene.state
    if state.focus is Focus.FILTER:
        return Cell("/", Tone.STRONG), *_typed(state, width - 1)
    if state.focus is Focus.QUESTION and state.asked is not None:
        wanted = asks_for(state.asked)
        ending = f"; {wanted}: " if wanted else "?  y: do it, any other key: no"
        asked = cut(scene.question, max(1, width - columns_of(ending) - (width // 3 if wanted else 0)), blocks.cut)
        return Cell(asked + ending, Tone.WARN), *(_typed(state, width // 3) if wanted else ())
    if state.focus in {Focus.HELP, Focus.DETAILS}:
        moves = (Command.UP, Command.DOWN, Command.PAGE_UP, Command.PAGE_DOWN)
        scroll = " ".join(filter(None, map(scene.keys.shown, moves)))
        return (
            Cell(_hint(scene.keys, ((Command.BACK, "back"),)) + (f"  {scroll}: scroll" if scroll else ""), Tone.QUIET),
        )
    told = scene.state.remark or scene.message or scene.by.remark
    return (Cell(cut(told, width, blocks.cut), Tone.WARN),) if told else (Cell(_hint(scene.keys, _HINTS), Tone.QUIET),)


def _hint(keys: Keys, told: Sequence[tuple[Command, str]]) -> str:
    """The keys of these commands, as far as they have any."""
    return "  ".join(f"{keys.shown(command)}: {does}" for command, does in told if keys.shown(command))


def _typed(state: TopState, width: int) -> Line:
    """The end of what is being typed, as far as it has room."""
    typed = state.typed
    while columns_of(typed) > max(0, width - 1):
        typed = typed[max(1, (columns_of(typed) - width + 1) // 2) :]
    return Cell(typed), Cell("_", Tone.CHOSEN)


def help_lines(keys: Keys = KEYS) -> tuple[Line, ...]:
    """The keys and what they do."""
    rows = keys.help()
    width = max(columns_of(names) for names, _ in rows)
    lines = [(Cell(padded(names, width + GAP), Tone.STRONG), Cell(does)) for names, does in rows]
    more = (
        "While a filter is typed, letters are text: Enter takes it, Esc leaves it, Up recalls.",
        "`[top.keys]` in clbalance.toml gives other keys.",
    )
    return ((), *lines, (), *((Cell(text),) for text in more))


def _window(lines: Sequence[Line], scrolled: int, height: int) -> Sequence[Line]:
    """The lines that are on the screen; it does not scroll past the last one."""
    first = min(scrolled, max(0, len(lines) - max(1, height)))
    return lines[first : first + max(1, height)]
