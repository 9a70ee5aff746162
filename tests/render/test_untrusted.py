import unicodedata

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.render.text import escape_line, escape_text

_ANY = st.text(st.characters(), max_size=200)  # surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain ü 節 🦀", "plain ü 節 🦀", id="letters of any script stay"),
        pytest.param("rack[a-c] [bold] [/]", "rack[a-c] [bold] [/]", id="markup is no markup"),
        pytest.param("\x1b]0;owned\x07", r"\x1b]0;owned\x07", id="a title is not set"),
        pytest.param("\x9b31m", r"\x9b31m", id="no C1 sequence begins"),
        pytest.param("a\rb\x08c", r"a\x0db\x08c", id="nothing is painted over"),
        pytest.param("user\u202ecod.exe", r"user\u202ecod.exe", id="reading order is not turned"),
        pytest.param("a\u200bb\ufeffc", r"a\u200bb\ufeffc", id="nothing is invisible"),
        pytest.param("\udcff", r"\xff", id="an undecodable byte is that byte"),
        pytest.param("\ud800", r"\ud800", id="a lone surrogate can be printed"),
        pytest.param("\U000e0041", r"\U000e0041", id="tags are not smuggled"),
    ],
)
def test_what_acts_on_a_reader_or_a_terminal_is_shown(text: str, shown: str) -> None:
    assert escape_line(text) == shown


def test_newline_and_tab_stay_in_texts_and_not_in_lines() -> None:
    assert escape_text("a\n\tb") == "a\n\tb"
    assert escape_line("a\n\tb") == r"a\x0a\x09b"


@settings(deadline=None)
@given(_ANY)
def test_no_control_character_ever_passes(text: str) -> None:
    assert not {unicodedata.category(c) for c in escape_line(text)} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.category(c) for c in escape_text(text).replace("\n", "").replace("\t", "")} & {"Cc", "Cs"}
    escape_text(text).encode()


@settings(deadline=None)
@given(_ANY)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert escape_line(escape_line(text)) == escape_line(text)


@settings(deadline=None)
@given(_ANY)
def test_a_terminal_shows_one_line_and_keeps_its_title(text: str) -> None:
    screen = pyte.Screen(4096, 3)
    pyte.Stream(screen).feed(escape_line(text))
    assert (screen.title, screen.icon_name, screen.cursor.y) == ("", "", 0)
