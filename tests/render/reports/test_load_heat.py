"""Maps of many nodes: they fit the screen, and nothing is told by colour alone."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import NodeName
from clbalance.render.format import Format
from clbalance.render.lines import columns_of
from clbalance.render.report import Display
from clbalance.render.reports.nodes.load_heat import LoadHeatReport
from clbalance.render.sparkline import ASCII, UNICODE, Blocks
from clbalance.render.views import NodeRow
from tests.render.build import drained, silent, up

_LOADS = (0.05, 0.3, 0.6, 0.7, 0.9, 0.2, 0.45, 0.02, 0.75, 0.61, 1.2)


def _cluster(count: int) -> list[NodeRow]:
    return [_node(number) for number in range(1, count + 1)]


def _node(number: int) -> NodeRow:
    name = f"node{number:04d}"
    if number % 331 == 0:
        return silent(name)
    if number % 401 == 0:
        return drained(name, "drained")
    return up(name, r1m=32 * _LOADS[number * number % len(_LOADS)])


_ROWS = _cluster(1000)
_RACKS = {row.node: f"rack{at // 20 + 1}" for at, row in enumerate(_ROWS)}


def _shown(
    width: int | None, labels: dict[NodeName, str] | None = None, blocks: Blocks = UNICODE, *, color: bool = False
) -> str:
    display = Display(form=Format.HUMAN, width=width, color=color)
    return LoadHeatReport(rows=_ROWS, blocks=blocks, labels=labels).human(display)


@pytest.mark.parametrize(("width", "height", "by"), [(80, 24, "name"), (140, 40, "name"), (140, 40, "rack")])
def test_a_thousand_nodes_have_room_on_one_screen(
    width: int, height: int, by: str, golden: Callable[[str, str], None]
) -> None:
    text = _shown(width, _RACKS if by == "rack" else None)
    golden(f"load-heat-1000-{by}-{width}.txt", text)
    assert len(text.splitlines()) < height
    assert max(map(columns_of, text.splitlines())) <= width


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 120), st.booleans())
def test_no_line_is_wider_than_the_terminal(width: int, count: int, labelled: bool) -> None:
    display = Display(form=Format.HUMAN, width=width)
    labels = _RACKS if labelled else None
    for blocks in (UNICODE, ASCII):
        text = LoadHeatReport(rows=_ROWS[:count], blocks=blocks, labels=labels).human(display)
        assert max(map(columns_of, text.splitlines())) <= width


def test_it_reads_without_colour() -> None:
    plain, colored = _shown(80), _shown(80, color=True)
    for code in ("32", "33", "1;31", "90", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


def test_without_utf8_it_is_ascii() -> None:
    assert _shown(80, blocks=ASCII).isascii()


def test_in_a_pipe_all_names_are_told() -> None:
    assert "D 2 drained or draining: node[0401,0802]" in _shown(None)
    assert "…" not in _shown(None)


def test_no_nodes_make_no_map() -> None:
    assert LoadHeatReport(rows=[], blocks=UNICODE).human(Display(form=Format.HUMAN, width=80)) == ""
