"""Keys of `top`: any of them may come at any time, and none does harm."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.policy.top.actions import Action, Deed, asks_for, question, verb
from clbalance.policy.top.keys import BINDINGS, KEYS, Command
from clbalance.policy.top.press import press
from clbalance.policy.top.state import Focus, Place, Shown, TopState, settle, targets
from clbalance.policy.top.view import View

_BOUND = [key for _, keys in BINDINGS for key in keys]
_KEYS = st.sampled_from([*_BOUND, "backspace", "c-u", "c-c", "left", "x", "ß", "\x1b", "f12"]) | st.text(max_size=3)
_SHOWN = st.builds(
    Shown,
    keys=st.lists(st.sampled_from([f"node:{name}" for name in "abcdefgh"]), unique=True).map(tuple),
    columns=st.integers(0, 5),
    page=st.integers(1, 4),
    groupings=st.sampled_from([(), ("name",), ("groups", "label rack", "name")]),
)


def pressed(state: TopState, keys: str | list[str], shown: Shown) -> TopState:
    for key in keys:
        state = settle(press(state, key, shown), shown)
    return state


@settings(max_examples=60)
@given(st.lists(st.tuples(_KEYS, _SHOWN), max_size=30))
def test_any_keys_may_come_while_rows_come_and_go(typed: list[tuple[str, Shown]]) -> None:
    state = TopState()
    for key, shown in typed:
        state = settle(press(state, key, shown), shown)
        place = state.place
        if shown.keys:
            assert shown.keys[place.number] == place.selected
            assert place.first <= place.number < place.first + shown.page
            assert 0 <= place.first <= max(0, len(shown.keys) - shown.page)
        assert set(targets(state, shown)) <= set(shown.keys)


@given(st.permutations([f"node:{name}" for name in "abcdef"]), st.integers(0, 5))
@settings(max_examples=30)
def test_the_selection_follows_its_node(order: list[str], number: int) -> None:
    before = Shown(keys=tuple(f"node:{name}" for name in "abcdef"), page=3)
    state = settle(pressed(TopState(), ["down"] * number, before), before)
    moved = settle(state, Shown(keys=tuple(order), page=3))
    assert moved.place.selected == state.place.selected == before.keys[number]


def test_when_its_row_is_gone_the_next_one_is_selected() -> None:
    state = pressed(TopState(), ["down"], Shown(keys=("a", "b", "c"), page=9))
    assert settle(state, Shown(keys=("a", "c"), page=9)).place.selected == "c"
    assert settle(state, Shown(keys=("a",), page=9)).place.selected == "a"


@pytest.mark.parametrize("letter", sorted(key for key in _BOUND if len(key) == 1))
def test_letters_are_text_while_a_filter_is_typed(letter: str) -> None:
    shown = Shown(keys=("a", "b"), columns=3, page=5, groupings=("name",))
    before = pressed(TopState(), ["/"], shown)
    assert press(before, letter, shown) == replace(before, typed=letter)


def test_a_filter_is_taken_left_and_recalled() -> None:
    shown = Shown(keys=("a",), page=5)
    state = pressed(TopState(), [*"/gpu", "enter", "/", "c-u", *"mem", "enter"], shown)
    assert (state.filter, state.history, state.focus) == ("mem", ("gpu", "mem"), Focus.TABLE)
    state = pressed(state, ["/", "up", "up"], shown)
    assert state.typed == "gpu"
    assert pressed(state, ["down"], shown).typed == "mem"
    assert pressed(state, ["escape"], shown).filter == "mem"
    assert pressed(state, ["enter"], shown).history == ("mem", "gpu")


def test_matches_of_the_last_filter_are_stepped_through_although_all_rows_are_shown() -> None:
    shown = Shown(keys=("a", "b", "c", "d"), page=9, matches=frozenset({"b", "d"}))
    state = pressed(TopState(), [*"/x", "enter", "escape"], shown)
    assert [pressed(state, keys, shown).place.selected for keys in ("n", "nn", "nnn", "N")] == ["b", "d", "b", "d"]
    assert "no row with x" in press(state, "n", replace(shown, matches=frozenset())).remark
    assert "no filter" in press(TopState(), "n", shown).remark


def test_escape_undoes_one_thing_at_a_time() -> None:
    shown = Shown(keys=("a", "b"), page=5)
    state = replace(TopState(), filter="a", within="group:name:a*", tags=frozenset({"a"}))
    state = pressed(state, ["escape"], shown)
    assert (state.tags, state.within, state.filter) == (frozenset(), "group:name:a*", "a")
    state = pressed(state, ["escape"], shown)
    assert (state.within, state.filter) == ("", "a")
    assert pressed(state, ["escape"], shown).filter == ""


def test_tagged_rows_are_meant_and_without_any_the_selected_one() -> None:
    shown = Shown(keys=("a", "b", "c"), page=5)
    state = pressed(TopState(), ["down"], shown)
    assert targets(state, shown) == ("b",)
    state = pressed(state, [" ", " "], shown)
    assert targets(state, shown) == ("b", "c")
    assert targets(pressed(state, ["U"], shown), shown) == ("c",)


def test_a_tag_of_a_row_that_is_not_shown_is_not_meant() -> None:
    state = replace(TopState(), tags=frozenset({"gone"}))
    assert targets(settle(state, Shown(keys=("a",), page=5)), Shown(keys=("a",), page=5)) == ("a",)


def test_nodes_are_folded_by_each_grouping_and_not_at_all() -> None:
    shown = Shown(keys=("a",), page=5, groupings=("groups", "name"))
    seen = []
    state = TopState()
    for _ in range(4):
        state = pressed(state, ["g"], shown)
        seen.append(state.grouping if state.is_folded else "")
    assert seen == ["groups", "name", "", "groups"]


def test_enter_on_a_group_shows_its_nodes() -> None:
    shown = Shown(keys=("group:name:a*",), page=5, groupings=("name",))
    state = pressed(TopState(), ["5", "enter"], shown)
    assert (state.view, state.within, state.focus) == (View.NODES, "group:name:a*", Focus.TABLE)


def test_the_order_goes_over_all_columns_and_back_to_none() -> None:
    shown = Shown(keys=("a",), columns=2, page=5)
    columns = [pressed(TopState(), ["."] * times, shown).place.order.column for times in range(4)]
    assert columns == [None, 0, 1, None]
    assert pressed(TopState(), [","], shown).place.order.column == 1
    assert pressed(TopState(), [".", "S"], shown).place.order.is_falling


def test_each_view_keeps_its_own_place() -> None:
    shown = Shown(keys=("a", "b"), columns=2, page=5)
    state = pressed(TopState(), ["down", "2"], Shown(keys=("a", "b"), columns=2, page=5))
    assert state.places[View.NODES] == Place(selected="b", number=1)
    assert pressed(state, ["1"], shown).place.selected == "b"


def test_ctrl_c_ends_it_from_everywhere_but_a_filter_that_is_typed() -> None:
    shown = Shown(keys=("a",), page=5)
    for before in ([], ["?"], ["enter"]):
        assert pressed(TopState(), [*before, "c-c"], shown).is_over
    left = pressed(TopState(), ["/", "c-c"], shown)
    assert (left.is_over, left.focus) == (False, Focus.TABLE)


def test_no_key_has_two_meanings_and_each_command_stands_in_the_help() -> None:
    assert len(_BOUND) == len(set(_BOUND))
    assert {command for command, _ in BINDINGS} == set(Command)
    assert len(KEYS.help()) == len(BINDINGS)


# -- actions

_ROWS = Shown(keys=("node:a", "node:b", "node:c"), page=5)


def test_an_action_is_for_the_tagged_rows_and_done_only_after_a_yes() -> None:
    asked = pressed(TopState(), [" ", " ", "r"], _ROWS)
    assert (asked.focus, asked.todo) == (Focus.QUESTION, None)
    assert asked.asked == Deed(action=Action.RESUME, keys=("node:a", "node:b"))
    assert press(asked, "y", _ROWS).todo == asked.asked


@pytest.mark.parametrize("key", ["n", "enter", "escape", "c-c", " ", "r", "d", "Y", "up", "x"])
def test_any_other_key_leaves_it(key: str) -> None:
    left = press(pressed(TopState(), ["r"], _ROWS), key, _ROWS)
    assert (left.todo, left.asked, left.focus, left.is_over) == (None, None, Focus.TABLE, False)


def test_a_drain_asks_for_its_reason_and_is_not_done_without() -> None:
    asked = pressed(TopState(), ["d"], _ROWS)
    assert press(asked, "enter", _ROWS) == asked
    done = pressed(asked, [*"y d", "enter"], _ROWS)
    assert done.todo == Deed(action=Action.DRAIN, keys=("node:a",), text="y d")
    assert pressed(asked, [*"disk", "escape"], _ROWS).todo is None


def test_a_file_that_is_there_is_replaced_only_after_a_yes() -> None:
    sure = Deed(action=Action.EXPORT, keys=("node:a",), text="out.csv", is_sure=True)
    asked = TopState(focus=Focus.QUESTION, asked=sure)
    assert (asks_for(sure), question(sure, "")) == ("", "out.csv is there already: replace it")
    assert press(asked, "y", _ROWS).todo == sure
    assert press(asked, "enter", _ROWS).todo is None


@settings(max_examples=60)
@given(st.lists(_KEYS, max_size=20))
def test_nothing_is_done_by_keys_without_a_yes_or_enter(typed: list[str]) -> None:
    state = TopState()
    for key in typed:
        before, state = state, settle(press(state, key, _ROWS), _ROWS)
        if state.todo is not None and before.todo is None:
            assert state.todo.action in {Action.LOG, Action.SSH} or (
                before.focus is Focus.QUESTION and key in "y enter"
            )
        state = replace(state, todo=None)


def test_what_a_view_has_not_is_refused_with_words() -> None:
    state = press(TopState(view=View.NODES), "c", _ROWS)
    assert (state.asked, state.remark) == (None, "cancel: only in the view of jobs")
    assert press(TopState(view=View.USERS), "d", _ROWS).remark == "drain: only in the view of nodes and gpus"
    assert press(TopState(), "d", Shown()).remark == "drain: there is no row"


def test_a_shell_and_a_log_are_for_one_row() -> None:
    assert press(pressed(TopState(), [" ", " "], _ROWS), "s", _ROWS).remark == "ssh: one row, not the 2 that are tagged"
    assert pressed(TopState(), ["down", "s"], _ROWS).todo == Deed(action=Action.SSH, keys=("node:b",))


def test_an_export_is_of_all_rows_unless_some_are_tagged() -> None:
    asked = pressed(TopState(), ["e"], _ROWS).asked
    assert asked is not None
    assert asked.keys == _ROWS.keys
    tagged = pressed(TopState(), [" ", "e"], _ROWS).asked
    assert tagged is not None
    assert tagged.keys == ("node:a",)


@pytest.mark.parametrize("key", ["d", "r", "c", "h", "l", "s", "e"])
def test_read_only_has_no_actions(key: str) -> None:
    for view in View:
        state = TopState(view=view)
        assert press(state, key, _ROWS, KEYS.read_only()) == state
    assert key not in "".join(keys for keys, _ in KEYS.read_only().help()).split()


def test_a_question_names_what_to_how_many() -> None:
    drain = Deed(action=Action.DRAIN, keys=("x", "y"), names=("a1", "a2"), text="disk; rm -rf /")
    assert question(drain, "a[1-2]") == "drain 2 nodes: a[1-2]"
    assert verb(drain) == ["drain", "--reason", "disk; rm -rf /", "-w", "a1,a2"]
    cancel = Deed(action=Action.CANCEL, keys=("x",), names=("--all",))
    assert question(cancel, "--all") == "cancel 1 job: --all"
    assert verb(cancel) == ["cancel", "--", "--all"]
