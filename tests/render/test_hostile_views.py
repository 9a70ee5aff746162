"""Hostile text through every view of people: nothing of it moves the cursor, sets a title, or has a style of its own.

Little by default; CLBALANCE_SOAK=50 draws 10⁵ texts.
"""

import io
import random
import re
from collections.abc import Iterator
from dataclasses import replace

import pyte
import pytest

from clbalance.model import NodeName
from clbalance.policy.top.actions import Action, Deed
from clbalance.policy.top.state import Focus, Place, TopState
from clbalance.policy.top.view import View
from clbalance.render.lines import SGR, columns_of, lines_text
from clbalance.render.output.grouped import Gathered
from clbalance.render.output.streams import Outlet, Outlets
from clbalance.render.sparkline import ASCII
from clbalance.render.top.details import detail_lines
from clbalance.render.top.frame import Scene, frame, screen_table
from clbalance.render.top.narrow import items_of, parse_filter
from clbalance.render.top.round import Round
from tests.faults.soak import trials
from tests.render.examples import DISPLAYS, all_examples
from tests.render.examples.top import OPEN, hostile
from tests.render.hostile import hostile_text

pytestmark = pytest.mark.soak

_DRAWN = [one for one in all_examples() if one.module != "top"]
_COLORED = replace(DISPLAYS["80"], color=True)
_OUR_STYLES = re.compile(
    "|".join(re.escape(f"\x1b[{code}m") for code in {*SGR.values(), "0", "1", "31", "1;31"} if code)
)
_ACTS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_WIDTH, _HEIGHT = 60, 20


def _frames(one: str, other: str) -> Iterator[str]:
    """Every view of `top`, what is typed in it, its questions, and details of each row."""
    found: Round = hostile(one, other)[0].found  # type: ignore[attr-defined]  # a TopReport
    by = parse_filter("", frozenset())
    for view in View:
        state = TopState(view=view, filter=one, typed=other, remark=one)
        items = items_of(found, state, ASCII)
        table = screen_table(items, state, _WIDTH, ASCII)
        scene = Scene(found=found, state=state, items=items, table=table, by=by, age_s=1.0, question=f"drain {other}")
        yield _frame(scene)
        for item in items.items[-1:]:
            at_item = replace(state, focus=Focus.DETAILS, places={view: Place(selected=item.key)})
            looked = replace(OPEN, node=NodeName(other + "y"))
            yield _frame(
                replace(scene, state=at_item, details=detail_lines(found, items, at_item, _WIDTH, ASCII, looked))
            )
    for focus in (Focus.FILTER, Focus.QUESTION):
        asked = Deed(action=Action.DRAIN, keys=("node:x",))
        yield _frame(replace(scene, state=replace(state, focus=focus, asked=asked)))


def _frame(scene: Scene) -> str:
    lines = frame(scene, _WIDTH, _HEIGHT, ASCII)
    assert len(lines) <= _HEIGHT
    assert max(columns_of("".join(cell.text for cell in line)) for line in lines) <= _WIDTH
    return lines_text(lines, color=True)


def _shell_output(one: str, other: str) -> str:
    """As `shell` and `run -b` show what commands print."""
    shown = io.BytesIO()
    outlet = Outlet(file=shown, terminal=True, color=True)
    output = Gathered(Outlets(stdout=outlet, stderr=outlet), [NodeName("a"), NodeName("b")], ",".join)
    for node, text in (("a", one), ("b", other)):
        output.write(NodeName(node), "stdout", text.encode("utf-8", "surrogatepass"))
    output.close()
    return shown.getvalue().decode("utf-8", "replace")


def test_no_text_acts_in_any_view() -> None:
    rng = random.Random(7)
    for number in range(trials(few=50, full=50_000)):
        one, other = hostile_text(rng), hostile_text(rng)
        reports = rng.choice(_DRAWN).hostile(one, other)
        drawn = [*_frames(one, other), *(_COLORED.text(report) for report in reports)]
        for text in drawn:
            assert not _ACTS.search(_OUR_STYLES.sub("", text)), (one, other)
        if number % 20 == 0:
            _check_by_emulator([*drawn, _shell_output(one, other)])


def _check_by_emulator(texts: list[str]) -> None:
    screen = pyte.Screen(200, 50)
    before = (screen.title, screen.icon_name, set(screen.mode), screen.margins, screen.cursor.attrs)
    stream = pyte.Stream(screen)
    for text in texts:
        stream.feed(text.replace("\n", "\r\n"))
        now = (screen.title, screen.icon_name, set(screen.mode), screen.margins, screen.cursor.attrs)
        assert now == before, text
