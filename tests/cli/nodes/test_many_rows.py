"""What thousands of nodes look like: a row for several silent nodes, states that are counted, and the best of them."""

from dataclasses import replace

import pytest

from clbalance.cli.nodes.load_rows import best_rows, folded_rows, states_note
from clbalance.render.views import NodeRow
from tests.render.build import silent as silent_row
from tests.render.build import up


def silent(name: str, reason: str) -> NodeRow:
    return replace(silent_row(name), reason=reason)


def down(name: str, port: int = 22) -> NodeRow:
    return silent(name, f"connect to host {name} port {port}: Connection refused")


def shown(rows: list[NodeRow]) -> list[tuple[str, str | None]]:
    return [(row.node, row.reason) for row in folded_rows(rows)]


def test_silent_nodes_with_one_reason_are_one_row() -> None:
    assert shown([down("n1"), up("n2"), down("n3"), down("n4")]) == [
        ("n2", None),
        ("n[1,3-4]", "connect to host %h port 22: Connection refused"),
    ]


def test_other_reasons_and_single_nodes_keep_their_rows_and_words() -> None:
    rows = [down("n1"), down("n2", port=23), silent("n3", "no answer within 15 s")]
    assert shown(rows) == [(row.node, row.reason) for row in rows]


def test_a_name_is_found_in_a_reason_only_as_a_whole_word() -> None:
    rows = [silent("n1", "n1 and n12"), silent("n2", "n2 and n12")]
    assert shown(rows) == [("n[1-2]", "%h and n12")]


def test_nodes_that_answered_are_never_folded() -> None:
    rows = [up("n1"), up("n2")]
    assert folded_rows(rows) == rows


def test_a_long_node_set_goes_behind_the_reason_so_that_columns_stay_where_they_are() -> None:
    rows = [silent(f"n{number}", "no answer") for number in range(0, 100, 3)]
    ((node, reason),) = shown(rows)
    assert node == "34 nodes"
    assert reason == f"no answer: n[{','.join(str(number) for number in range(0, 100, 3))}]"


def test_the_best_are_shown_and_the_others_counted() -> None:
    rows = [up(f"n{number}", score=float(number)) for number in range(5)]
    best, note = best_rows([*rows, down("n9")], 2, None)
    assert [row.node for row in best] == ["n4", "n3"]
    assert note == "clbalance: the 2 least loaded of 6 nodes; left out: 3 up, 1 down\n"


def test_the_best_by_an_order_are_called_so() -> None:
    _, note = best_rows([up("n1"), up("n2")], 1, "-mem")
    assert note == "clbalance: the first 1 of 2 nodes by `--order`; left out: 1 up\n"


def test_if_no_more_are_there_all_are_shown_and_nothing_is_said() -> None:
    rows = [up("n1"), down("n2")]
    assert best_rows(rows, 2, None) == (rows, "")


@pytest.mark.parametrize(
    ("count", "note"),
    [
        pytest.param(40, "", id="a screenful needs no summary"),
        pytest.param(41, "clbalance: 41 nodes: 40 up, 1 down; `--top 20` shows the least loaded\n", id="more does"),
    ],
)
def test_many_nodes_are_counted_by_state(count: int, note: str) -> None:
    assert states_note([*(up(f"n{number}") for number in range(count - 1)), down("x")]) == note
