"""What the live screen shows: the last round and the state, brought together. It knows no terminal."""

from collections.abc import Callable, Collection
from dataclasses import replace

from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.policy.top.actions import VIEWS, Action, Deed, question
from clbalance.policy.top.keys import KEYS, TO_MATCHES, Keys
from clbalance.policy.top.press import press
from clbalance.policy.top.state import Focus, Shown, TopState, settle
from clbalance.policy.top.view import View
from clbalance.render.lines import Line
from clbalance.render.sparkline import Blocks
from clbalance.render.top.details import detail_lines
from clbalance.render.top.frame import Scene, frame, rows_on, screen_table
from clbalance.render.top.item import Items
from clbalance.render.top.narrow import Filter, items_of, matches, selected_nodes, shown_of, visible
from clbalance.render.top.node_details import OpenNode
from clbalance.render.top.round import Round
from clbalance.render.top.table_lines import TableLines


class Screen:
    """The state of one screen. Rows are made once for each round and view, and sorted when their order changes."""

    def __init__(
        self, state: TopState, first: Round, blocks: Blocks, filter_of: Callable[[str], Filter], keys: Keys = KEYS
    ) -> None:
        """`filter_of`: what a typed filter means."""
        self.state = state
        self._found = first
        self._taken_s: float | None = None
        self._blocks = blocks
        self._filter_of = filter_of
        self._keys = keys
        self._message = ""
        self._looked: OpenNode | None = None
        self._size = (80, 24)
        self._by = Filter()
        self._made_of: Round | None = None
        self._made_by: tuple[object, ...] = ()
        self._unsorted = self._items = Items(columns=(), items=())
        self._order = state.place.order
        self._table: TableLines
        self._refresh()

    def take(self, found: Round, now_s: float) -> None:
        """Show this round from now on."""
        if self._taken_s is None:
            self._message = ""
        self._found, self._taken_s = found, now_s
        self._refresh()

    def look(self, looked: OpenNode) -> None:
        """Show this in the details of its node."""
        self._looked = looked

    @property
    def open_node(self) -> NodeName | None:
        """The node whose details are open."""
        if self.state.focus is not Focus.DETAILS or self.state.view is not View.NODES:
            return None
        selected = self.state.place.selected
        return next((item.nodes[0] for item in self._items.items if item.key == selected), None)

    def say(self, message: str) -> None:
        """Show a message in the last line, until the next key."""
        self._message = message

    def press(self, key: str) -> None:
        """Do what a key says."""
        self._message = ""
        shown = self._shown()
        if self._keys.command(key) in TO_MATCHES and self.state.history:
            by = self._filter_of(self.state.history[-1])
            shown = replace(shown, matches=matches(self._found, self._items, by))
        self.state = self._with_names(press(self.state, key, shown, self._keys))
        self._refresh()

    def take_todo(self) -> Deed | None:
        """The action that was confirmed, once."""
        todo, self.state = self.state.todo, replace(self.state, todo=None)
        return todo

    def ask_to_replace(self, deed: Deed) -> None:
        """Ask before an export replaces a file."""
        self.state = replace(self.state, focus=Focus.QUESTION, asked=replace(deed, is_sure=True), typed="")

    def exported(self, keys: Collection[str]) -> Items:
        """These rows, as they are now."""
        return replace(self._items, items=tuple(item for item in self._items.items if item.key in keys))

    def lines(self, width: int, height: int, now_s: float, remark: str = "") -> tuple[Line, ...]:
        """The present frame. `remark`: for the last line, if nothing else is said there."""
        if (width, height) != self._size:
            self._size = (width, height)
            self._table = screen_table(self._items, self.state, width, self._blocks)
            self.state = settle(self.state, self._shown())
        scene = Scene(
            found=self._found,
            state=self.state,
            items=self._items,
            table=self._table,
            by=self._by,
            age_s=0.0 if self._taken_s is None else now_s - self._taken_s,
            message=self._message or remark,
            question=self._question(),
            keys=self._keys,
            details=self._details(width) if self.state.focus is Focus.DETAILS else (),
        )
        return frame(scene, width, height, self._blocks)

    def _details(self, width: int) -> tuple[Line, ...]:
        return detail_lines(self._found, self._items, self.state, width, self._blocks, self._looked)

    def _with_names(self, state: TopState) -> TopState:
        """An action is for the nodes or jobs that its question names."""
        if state.asked is not None and not state.asked.names:
            return replace(state, asked=self._named(state.asked))
        return state if state.todo is None or state.todo.names else replace(state, todo=self._named(state.todo))

    def _named(self, deed: Deed) -> Deed:
        items = [item for item in self._items.items if item.key in deed.keys]
        if View.JOBS in VIEWS[deed.action] and deed.action is not Action.EXPORT:
            return replace(deed, names=tuple(str(item.values[0].value) for item in items))
        return replace(deed, names=tuple(dict.fromkeys(node for item in items for node in item.nodes)))

    def _question(self) -> str:
        asked = self.state.asked
        if asked is None:
            return ""
        is_nodes = View.NODES in VIEWS[asked.action]
        return question(asked, fold(map(NodeName, asked.names)) if is_nodes else ", ".join(asked.names))

    def _refresh(self) -> None:
        """Make the rows again, if what they depend on has changed."""
        state = self.state
        depends = (state.view, state.filter, state.within, state.grouping, state.is_folded)
        is_new = self._made_of is not self._found or self._made_by != depends
        if is_new:
            self._by = self._filter_of(state.filter)
            self._unsorted = items_of(selected_nodes(self._found, self._by), state, self._blocks)
            self._made_of, self._made_by = self._found, depends
        if is_new or self._order != state.place.order:
            self._items, self._order = visible(self._unsorted, self._by, state), state.place.order
            self._table = screen_table(self._items, state, self._size[0], self._blocks)
        self.state = settle(state, self._shown())

    def _shown(self) -> Shown:
        return shown_of(self._found, self._items, rows_on(self._size[1]))
