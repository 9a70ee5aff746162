"""Frames of `top`: of any size, of any data, and as people see them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Measured
from clbalance.model.plugins import ExternalIndex, ExternalUnit, ExternalValue, SiteReading
from clbalance.policy.top.actions import Action, Deed
from clbalance.policy.top.press import press
from clbalance.policy.top.state import Focus, Order, Place, Shown, TopState, settle
from clbalance.policy.top.view import View
from clbalance.render.lines import columns_of, lines_text
from clbalance.render.sparkline import ASCII, UNICODE
from clbalance.render.table import Cell
from clbalance.render.top.details import detail_lines
from clbalance.render.top.frame import Scene, frame, rows_on, screen_table
from clbalance.render.top.item import Items
from clbalance.render.top.narrow import items_of, parse_filter, selected_nodes, shown_of, visible
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow
from tests.render.build import busy, silent, up
from tests.render.examples.top import CLUSTER, OPEN, PENDING, ROUND, hostile, round_of


def _scene(found: Round, state: TopState, width: int, height: int) -> Scene:
    by = parse_filter(state.filter, frozenset())
    found = selected_nodes(found, by)
    items = visible(items_of(found, state, UNICODE), by, state)
    state = settle(state, shown_of(found, items, rows_on(height)))
    question = "drain 2 nodes: node[1-2]" if state.focus is Focus.QUESTION else ""
    details = detail_lines(found, items, state, width, UNICODE, OPEN) if state.focus is Focus.DETAILS else ()
    return Scene(
        found=found,
        state=state,
        items=items,
        table=screen_table(items, state, width, UNICODE),
        by=by,
        age_s=2.0,
        details=details,
        question=question,
    )


def _text(found: Round, state: TopState, width: int, height: int, *, color: bool = False) -> str:
    return lines_text(frame(_scene(found, state, width, height), width, height, UNICODE), color=color)


def _keys(found: Round, state: TopState) -> list[str]:
    return [item.key for item in _scene(found, state, 80, 24).items.items]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
@pytest.mark.parametrize("view", View)
def test_a_view_as_it_is_seen(view: View, width: int, height: int, golden: Callable[[str, str], None]) -> None:
    state = TopState(view=view, tags=frozenset({"node:node10"}))
    golden(f"top-screen-{view}-{width}x{height}.txt", _text(ROUND, state, width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_details_and_help_as_they_are_seen(width: int, height: int, golden: Callable[[str, str], None]) -> None:
    place = Place(selected="node:gpu1")
    details = TopState(focus=Focus.DETAILS, places={View.NODES: place})
    shown = _text(ROUND, details, width, height) + _text(ROUND, TopState(focus=Focus.HELP), width, height)
    golden(f"top-screen-details-{width}x{height}.txt", shown)


_STATES = st.builds(
    TopState,
    view=st.sampled_from(View),
    focus=st.sampled_from(Focus),
    filter=st.sampled_from(["", "node", "mem > 1G", "a >", "\x1b[2J"]),
    typed=st.text(max_size=50),
    is_folded=st.booleans(),
    grouping=st.sampled_from(["", "name", "label rack", "gone"]),
    within=st.sampled_from(["", "group:name:node*", "group:gone"]),
    scrolled=st.integers(0, 100),
    asked=st.sampled_from([Deed(action=action, keys=("node:node1",)) for action in Action]),
)


@settings(max_examples=60)
@given(_STATES, st.integers(1, 300), st.integers(1, 100))
def test_a_frame_never_has_more_than_the_screen(state: TopState, width: int, height: int) -> None:
    lines = _text(ROUND, state, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(columns_of, lines)) <= width


@settings(max_examples=40)
@given(st.text(max_size=30), st.text(max_size=30), _STATES, st.booleans())
def test_no_text_of_others_acts_on_the_screen(one: str, other: str, state: TopState, color: bool) -> None:
    found = hostile(one, other)[0].found  # type: ignore[attr-defined]  # a TopReport
    lines = frame(_scene(found, state, 60, 20), 60, 20, ASCII)
    for line in lines:
        text = "".join(cell.text for cell in line)
        assert columns_of(text) <= 60
        assert text == "".join(Cell(character).text for character in text)  # nothing is left to escape


def test_equal_rows_keep_their_order_when_sorted() -> None:
    found = round_of([up(f"node{number}", r1m=number % 2) for number in range(1, 7)])
    by_load = TopState(places={View.NODES: Place(order=Order(column=2))})
    assert _keys(found, by_load) == [f"node:node{number}" for number in (2, 4, 6, 1, 3, 5)]
    falling = TopState(places={View.NODES: Place(order=Order(column=2, is_falling=True))})
    assert _keys(found, falling) == [f"node:node{number}" for number in (1, 3, 5, 2, 4, 6)]


def test_unknown_values_come_last_in_either_order() -> None:
    found = round_of([silent("node1"), up("node2", r1m=1.0), busy("node3", ["load"], "load", r1m=9.0)])
    for is_falling in (False, True):
        state = TopState(places={View.NODES: Place(order=Order(column=2, is_falling=is_falling))})
        assert _keys(found, state)[-1] == "node:node1"


def test_silent_nodes_are_rows_with_their_reason() -> None:
    assert "unreachable: No route to host" in _text(round_of([silent("node1")]), TopState(), 160, 24)


def test_an_expression_selects_nodes_in_every_view() -> None:
    for view, expected in ((View.NODES, ["node:gpu1"]), (View.USERS, ["user:1000", "user:1001", "user:1002"])):
        keys = _keys(ROUND, TopState(view=view, filter="gpus > 0 and r1m < 1"))
        assert [key for key in keys if key in expected] == expected


def test_a_text_selects_rows_and_a_broken_expression_is_a_text() -> None:
    assert _keys(ROUND, TopState(filter="GPU1")) == ["node:gpu1"]
    assert _keys(ROUND, TopState(filter="gpu1 >")) == []
    assert "taken as text" in _text(ROUND, TopState(filter="gpu1 >"), 80, 24)


def test_the_rows_of_a_group_are_all_that_is_shown() -> None:
    state = press(TopState(view=View.GROUPS), "enter", Shown(keys=("group:groups:gpu-nodes",), page=5))
    assert _keys(ROUND, state) == ["node:gpu1"]


def test_narrow_screens_keep_the_first_of_the_counts() -> None:
    assert _text(ROUND, TopState(), 140, 5).splitlines()[0].endswith("9 logins")
    assert _text(ROUND, TopState(), 50, 5).splitlines()[0].startswith("9 nodes: ")
    at_80 = _text(ROUND, TopState(), 80, 5).splitlines()
    assert at_80[0].endswith("2 s old  jobs: 4 R, 1 PD")
    assert at_80[1].endswith("9 logins")


def test_a_selected_row_and_a_tagged_one_have_signs_without_colour() -> None:
    state = TopState(tags=frozenset({f"node:{CLUSTER[1].node}"}))
    lines = _text(ROUND, state, 80, 24).splitlines()
    assert (lines[3][:2], lines[4][:2]) == ("> ", " *")


def test_colour_changes_no_character() -> None:
    for view in View:
        state = TopState(view=view)
        colored = _text(ROUND, state, 100, 30, color=True)
        for code in ("32", "33", "1;31", "90", "1", "7", "0"):
            colored = colored.replace(f"\x1b[{code}m", "")
        assert [line.rstrip() for line in colored.splitlines()] == _text(ROUND, state, 100, 30).splitlines()


def test_no_data_is_no_error() -> None:
    nothing = round_of([])
    for view in View:
        assert _text(nothing, TopState(view=view), 80, 24).startswith("no nodes")


def test_a_pending_job_counts_and_has_its_reason() -> None:
    found = round_of([up("node1")], PENDING)
    assert "0 running, 1 pending" in _text(found, TopState(), 80, 24)
    assert "(not before 18:00)" in _text(found, TopState(view=View.JOBS), 80, 24)


def test_items_of_no_rows_have_headings() -> None:
    assert isinstance(items_of(round_of([]), TopState(view=View.USERS), ASCII), Items)
    assert replace(TopState(), view=View.USERS).place == Place()


def test_a_filter_knows_the_indices_of_the_site() -> None:
    scratch = ExternalIndex(name="scratch", unit=ExternalUnit.PERCENT)

    def with_scratch(name: str, value: float) -> NodeRow:
        row = up(name)
        assert isinstance(row.answer, Measured)
        return replace(row, answer=replace(row.answer, site=SiteReading((ExternalValue(scratch, value),))))

    found = round_of([with_scratch("few", 4.0), with_scratch("much", 40.0)])
    by = parse_filter("scratch > 5%", frozenset(), (scratch,))
    assert (by.remark, [row.node for row in selected_nodes(found, by).rows]) == ("", ["much"])
    assert parse_filter("scratch > 5%", frozenset()).remark.startswith("taken as text: ")
