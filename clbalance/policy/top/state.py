"""The state of `top`'s screen: the view, and in it the order, the filter, the selected row and the tagged ones."""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.actions import Deed
from clbalance.policy.top.view import View


class Focus(Enum):
    """What the next key is for."""

    TABLE = "table"
    FILTER = "filter"
    """A filter is being typed: letters are text."""
    QUESTION = "question"
    """An action is about to be done: letters are the answer."""
    HELP = "help"
    DETAILS = "details"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By which column rows are sorted; None: as they come, which is by name."""

    column: int | None = None
    is_falling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a view one is. The key of the selected row counts; its number only where that row is gone."""

    selected: str = ""
    number: int = 0
    first: int = 0
    """The number of the first row on the screen."""
    order: Order = Order()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a view shows, as far as keys depend on it."""

    keys: tuple[str, ...] = ()
    """Of all rows, in their order."""
    columns: int = 0
    page: int = 1
    """How many rows have room on the screen."""
    groupings: tuple[str, ...] = ()
    """By which nodes can be grouped."""
    matches: frozenset[str] = frozenset()
    """The keys of those rows that the last filter selects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopState:
    """All that keys change."""

    view: View = View.NODES
    focus: Focus = Focus.TABLE
    places: Mapping[View, Place] = field(default_factory=dict, hash=False)
    filter: str = ""
    """Rows without this text are left out; an expression of `--where` leaves out nodes."""
    typed: str = ""
    """The filter that is being typed."""
    history: tuple[str, ...] = ()
    """Earlier filters, the newest last."""
    recalled: int = 0
    """How many steps back in the history the typed filter is; 0: it is new."""
    tags: frozenset[str] = frozenset()
    """Keys of rows; a key is of one view only."""
    grouping: str = ""
    """By what nodes are grouped; empty: the first of the groupings."""
    is_folded: bool = False
    """Whether the view of nodes has a row for each group."""
    within: str = ""
    """Only nodes of this group are shown; empty: all."""
    scrolled: int = 0
    """Lines above the screen, of details and of the help."""
    asked: Deed | None = None
    """The action that the question is about."""
    todo: Deed | None = None
    """An action that was confirmed, and is to be carried out now."""
    remark: str = ""
    """Why a key did nothing; until the next key."""
    is_over: bool = False

    @property
    def place(self) -> Place:
        """In the present view."""
        return self.places.get(self.view, Place())

    def with_place(self, place: Place) -> "TopState":
        """The same state, elsewhere in the present view."""
        return replace(self, places={**self.places, self.view: place})


def settle(state: TopState, shown: Shown) -> TopState:
    """The state for new rows: the selection stays on its row, wherever that is now, and on the screen.

    If the row is gone, the one that took its place is selected.
    """
    place, last = state.place, len(shown.keys) - 1
    if last < 0:
        return state if place.first == 0 else state.with_place(replace(place, first=0))
    number = shown.keys.index(place.selected) if place.selected in shown.keys else min(place.number, last)
    page = max(1, shown.page)
    first = min(max(place.first, number - page + 1), number, max(0, last - page + 1))
    settled = replace(place, selected=shown.keys[number], number=number, first=max(0, first))
    return state if settled == place else state.with_place(settled)


def targets(state: TopState, shown: Shown) -> tuple[str, ...]:
    """The rows that an action is for: the tagged ones that are shown, in their order; without any, the selected."""
    tagged = tuple(key for key in shown.keys if key in state.tags)
    return tagged or tuple(key for key in shown.keys if key == state.place.selected)
