"""What a key does: from the state of the screen to the next. Pure, and total: any key may come at any time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, assert_never

from clbalance.policy.top.actions import ALONE, VIEWS, Action, Deed, asks_for
from clbalance.policy.top.keys import ACTIONS, KEYS, Command, Keys
from clbalance.policy.top.state import Focus, Order, Shown, TopState, settle, targets
from clbalance.policy.top.view import View

_MOST_TYPED = 1000  # characters of a filter
_MOST_KEPT = 100  # filters in the history
_VIEWS: Final = tuple(View)


def press(state: TopState, key: str, shown: Shown, keys: Keys = KEYS) -> TopState:
    """The state after a key, while the view shows this. A key without a meaning changes nothing.

    What the next view shows is not known here: `settle` comes next.
    """
    command, state = keys.command(key), replace(state, remark="")
    match state.focus:
        case Focus.FILTER:
            return _type(state, key)
        case Focus.QUESTION:
            return _answer(state, key)
        case _ if key == "c-c":
            return replace(state, is_over=True)
        case Focus.HELP | Focus.DETAILS:
            return _read(state, command, shown.page)
        case Focus.TABLE if command in ACTIONS:
            return _ask(state, ACTIONS[command], shown)
        case Focus.TABLE:
            return state if command is None else _ON_TABLE[command](state, shown)
        case _:
            assert_never(state.focus)


# -- the filter: all that can be typed is text


def _type(state: TopState, key: str) -> TopState:
    if key in _STEPS_BACK:
        return _recall(state, state.recalled + _STEPS_BACK[key])
    new = replace(state, recalled=0)
    match key:
        case _ if len(key) == 1 and key.isprintable():
            return replace(new, typed=(state.typed + key)[:_MOST_TYPED])
        case "backspace" | "c-u":
            return replace(new, typed=state.typed[:-1] if key == "backspace" else "")
        case "enter":
            return replace(_kept(new), filter=state.typed, focus=Focus.TABLE, typed="")
        case "escape" | "c-c":
            return replace(new, focus=Focus.TABLE, typed="")
        case _:
            return state


_STEPS_BACK = {"up": 1, "down": -1}


def _kept(state: TopState) -> TopState:
    if not state.typed:
        return state
    others = tuple(one for one in state.history if one != state.typed)
    return replace(state, history=(*others, state.typed)[-_MOST_KEPT:])


def _recall(state: TopState, steps: int) -> TopState:
    if not 0 <= steps <= len(state.history):
        return state
    return replace(state, recalled=steps, typed=state.history[-steps] if steps else "")


# -- actions: each is asked about first, unless it only looks


def _ask(state: TopState, action: Action, shown: Shown) -> TopState:
    if state.view not in VIEWS[action] or state.is_folded:
        views = " and ".join(view.value for view in View if view in VIEWS[action])
        return replace(state, remark=f"{action.value}: only in the view of {views}")
    keys = shown.keys if action is Action.EXPORT and not _tagged(state, shown) else targets(settle(state, shown), shown)
    if not keys:
        return replace(state, remark=f"{action.value}: there is no row")
    if action in ALONE:
        if len(keys) > 1:
            return replace(state, remark=f"{action.value}: one row, not the {len(keys)} that are tagged")
        return replace(state, todo=Deed(action=action, keys=keys))
    return replace(state, focus=Focus.QUESTION, asked=Deed(action=action, keys=keys), typed="")


def _tagged(state: TopState, shown: Shown) -> bool:
    return any(key in state.tags for key in shown.keys)


def _answer(state: TopState, key: str) -> TopState:
    """Only `y`, or words and Enter, where words are asked for, let it be done."""
    deed = state.asked
    assert deed is not None
    left = replace(state, focus=Focus.TABLE, asked=None, typed="")
    if not asks_for(deed):
        return replace(left, todo=deed) if key == "y" else replace(left, remark=f"no {deed.action.value}")
    if key in {"escape", "c-c"}:
        return replace(left, remark=f"no {deed.action.value}")
    if key != "enter":
        return _type(state, key) if key not in _STEPS_BACK else state
    text = state.typed.strip()
    return replace(left, todo=replace(deed, text=text)) if text else state


# -- help and details: they are read, and closed


def _read(state: TopState, command: Command | None, page: int) -> TopState:
    moves = {
        Command.UP: -1,
        Command.DOWN: 1,
        Command.PAGE_UP: -page,
        Command.PAGE_DOWN: page,
        Command.FIRST: -state.scrolled,
    }
    if command in moves:
        return replace(state, scrolled=max(0, state.scrolled + moves[command]))
    if command in {Command.BACK, Command.QUIT, Command.HELP, Command.DETAILS}:
        return replace(state, focus=Focus.TABLE, scrolled=0)
    return state


# -- the table


def _to_view(view: View) -> Callable[[TopState, Shown], TopState]:
    return lambda state, _: replace(state, view=view)


def _next_view(state: TopState, _: Shown) -> TopState:
    return replace(state, view=_VIEWS[(_VIEWS.index(state.view) + 1) % len(_VIEWS)])


def _move(step: Callable[[Shown], int]) -> Callable[[TopState, Shown], TopState]:
    def moved(state: TopState, shown: Shown) -> TopState:
        if not shown.keys:
            return state
        place = settle(state, shown).place
        number = min(max(place.number + step(shown), 0), len(shown.keys) - 1)
        return state.with_place(replace(place, number=number, selected=shown.keys[number]))

    return moved


def _sort_by(step: int) -> Callable[[TopState, Shown], TopState]:
    """The next column in this direction; beyond the last one rows stand as they come."""

    def sorted_by(state: TopState, shown: Shown) -> TopState:
        choices: list[int | None] = [None, *range(shown.columns)]
        order = state.place.order
        at = choices.index(order.column) if order.column in choices else 0
        column = choices[(at + step) % len(choices)]
        return state.with_place(replace(state.place, order=replace(order, column=column)))

    return sorted_by


def _reverse(state: TopState, _: Shown) -> TopState:
    order = state.place.order
    reversed_order = Order(column=order.column, is_falling=not order.is_falling)
    return state.with_place(replace(state.place, order=reversed_order))


def _begin_filter(state: TopState, _: Shown) -> TopState:
    return replace(state, focus=Focus.FILTER, typed=state.filter, recalled=0)


def _to_match(step: int) -> Callable[[TopState, Shown], TopState]:
    """To the next row in this direction that the last filter selects; after the last one comes the first."""

    def moved(state: TopState, shown: Shown) -> TopState:
        if not state.history:
            return replace(state, remark="no filter was typed yet")
        at = settle(state, shown).place.number
        around = [(at + step * steps) % len(shown.keys) for steps in range(1, len(shown.keys) + 1)]
        number = next((one for one in around if shown.keys[one] in shown.matches), None)
        if number is None:
            return replace(state, remark=f"no row with {state.history[-1]}")
        return state.with_place(replace(state.place, number=number, selected=shown.keys[number]))

    return moved


def _fold(state: TopState, shown: Shown) -> TopState:
    """The view of nodes folded by the first grouping, by the next ones, and not at all; that of groups by the next."""
    if not shown.groupings or state.view not in {View.NODES, View.GROUPS}:
        return state
    at = shown.groupings.index(state.grouping) if state.grouping in shown.groupings else 0
    if state.view is View.NODES and not state.is_folded:
        return replace(state, is_folded=True, grouping=shown.groupings[0])
    if state.view is View.NODES and at == len(shown.groupings) - 1:
        return replace(state, is_folded=False)
    return replace(state, grouping=shown.groupings[(at + 1) % len(shown.groupings)])


def _tag(state: TopState, shown: Shown) -> TopState:
    """Tag the selected row, or untag it, and go on to the next."""
    if not shown.keys:
        return state
    selected = settle(state, shown).place.selected
    return _move(lambda _: 1)(replace(state, tags=state.tags ^ {selected}), shown)


def _open(state: TopState, shown: Shown) -> TopState:
    """Details of a row. A group has none: its nodes are shown instead."""
    if not shown.keys:
        return state
    selected = settle(state, shown).place.selected
    if state.view is View.GROUPS or (state.view is View.NODES and state.is_folded):
        return replace(state, view=View.NODES, is_folded=False, within=selected)
    return replace(state, focus=Focus.DETAILS, scrolled=0)


def _back(state: TopState, _: Shown) -> TopState:
    """Undo the last of what narrows the view."""
    if state.tags:
        return replace(state, tags=frozenset())
    if state.within:
        return replace(state, within="")
    return replace(state, filter="")


_ON_TABLE: Final[Mapping[Command, Callable[[TopState, Shown], TopState]]] = {
    Command.NODES: _to_view(View.NODES),
    Command.GPUS: _to_view(View.GPUS),
    Command.JOBS: _to_view(View.JOBS),
    Command.USERS: _to_view(View.USERS),
    Command.GROUPS: _to_view(View.GROUPS),
    Command.NEXT_VIEW: _next_view,
    Command.UP: _move(lambda _: -1),
    Command.DOWN: _move(lambda _: 1),
    Command.PAGE_UP: _move(lambda shown: -shown.page),
    Command.PAGE_DOWN: _move(lambda shown: shown.page),
    Command.FIRST: _move(lambda shown: -len(shown.keys)),
    Command.LAST: _move(lambda shown: len(shown.keys)),
    Command.SORT_LEFT: _sort_by(-1),
    Command.SORT_RIGHT: _sort_by(1),
    Command.REVERSE: _reverse,
    Command.FILTER: _begin_filter,
    Command.NEXT_MATCH: _to_match(1),
    Command.PREVIOUS_MATCH: _to_match(-1),
    Command.GROUPING: _fold,
    Command.TAG: _tag,
    Command.UNTAG: lambda state, _: replace(state, tags=frozenset()),
    Command.DETAILS: _open,
    Command.BACK: _back,
    Command.HELP: lambda state, _: replace(state, focus=Focus.HELP, scrolled=0),
    Command.QUIT: lambda state, _: replace(state, is_over=True),
}
