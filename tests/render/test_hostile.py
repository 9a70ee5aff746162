"""Whatever nodes and people name things: nothing that a report draws acts on a terminal."""

import json
import re

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.render import messages
from clbalance.render.reports.nodes.load import LoadReport

from .build import silent, up
from .examples import DISPLAYS, all_examples

_TEXT = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\x08\r\n\t\x7f[]/;m\u202e\u2028\udc80"), max_size=40)
_ALL = list(all_examples())
_DISPLAYS = [display for name, display in DISPLAYS.items() if name != "140"]  # drawn as for 80


def _all_texts(name: str, other: str) -> list[str]:
    return [display.text(report) for one in _ALL for report in one.hostile(name, other) for display in _DISPLAYS] + [
        messages.note(name),
        messages.warning(name),
        messages.placed(1, name, chosen=1, candidates=3, asked=2, fitting=2),
    ]


@settings(deadline=None)
@given(_TEXT, _TEXT)
def test_no_report_lets_a_control_character_out(name: str, other: str) -> None:
    for text in _all_texts(name, other):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
        assert text == "" or text.endswith("\n")
        text.encode()


@settings(deadline=None, max_examples=10)  # pyte is slow, and this is every report in every form
@given(_TEXT, _TEXT)
def test_a_terminal_that_shows_it_all_is_left_as_it_was(name: str, other: str) -> None:
    screen = pyte.Screen(200, 50)
    modes = set(screen.mode)
    pyte.Stream(screen).feed("".join(_all_texts(name, other)).replace("\n", "\r\n"))
    assert (screen.title, screen.icon_name, screen.mode, screen.margins) == ("", "", modes, None)


@settings(deadline=None)
@given(_TEXT, _TEXT)
def test_json_gives_names_back_as_they_were(name: str, other: str) -> None:
    text = DISPLAYS["json"].text(LoadReport([silent(name, other)]))
    assert text.isascii()
    node = json.loads(text)["nodes"][0]
    assert (node["name"], node["reason"]) == (name, f"unreachable: {other}")


@settings(deadline=None)
@given(_TEXT, _TEXT)
def test_plain_has_one_line_a_node_and_always_as_many_fields(name: str, other: str) -> None:
    lines = LoadReport([silent(name, other), up(other), up("n")]).plain().split("\n")
    assert [line.count("\t") for line in lines] == [21, 21, 21, 0]
