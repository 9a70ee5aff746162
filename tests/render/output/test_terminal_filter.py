import itertools

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.render.output.streams import RESET, TerminalFilter, terminal_safe

_HOSTILE = st.lists(
    st.sampled_from(
        [b"\x1b", b"\x1b[", b"\x1b[31m", b"\x1b[2J", b"\x1b[K", b"\x1b[10A", b"\x1b]0;x\x07", b"\x1b]52;c;AA==\x1b\\",
         b"\x9b31m", b"\xc2\x9b", b"\x07", b"\x08", b"\r", b"\n", b"\t", b"\x7f", b"\x00", b"\xff", b"\xe7\xaf\x80",
         b"\xe7", b"m", b";", b"1", b"plain"]
    )
    | st.binary(max_size=12),
    max_size=20,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param(b"\x1b[1;31mred\x1b[m", b"\x1b[1;31mred\x1b[m" + RESET, id="colours stay"),
        pytest.param(b"\x1b[38:2::255:0:0mx", b"\x1b[38:2::255:0:0mx" + RESET, id="colours of the long form stay"),
        pytest.param(b"10%\r20%\x08\x1b[K", b"10%\r20%\x08\x1b[K" + RESET, id="progress bars stay"),
        pytest.param(b"\x1b[2J\x1b[10A", rb"\x1b[2J\x1b[10A", id="the cursor does not jump"),
        pytest.param(b"\x1b]52;c;AA==\x07", rb"\x1b]52;c;AA==\x07", id="the clipboard is not written"),
        pytest.param(b"\xc2\x9b31m", rb"\x9b31m", id="C1 in UTF-8 is shown"),
        pytest.param(b"\x9b31m\xff", rb"\x9b31m\xff", id="bytes that are not UTF-8 are shown"),
        pytest.param("節 ü".encode(), "節 ü".encode(), id="UTF-8 stays"),
        pytest.param(b"\x1b[" + b"1;" * 20 + b"m", rb"\x1b[" + b"1;" * 20 + b"m", id="no colour is that long"),
        pytest.param(b"end \x1b[3", rb"end \x1b[3", id="an unfinished escape at the end is shown"),
        pytest.param(b"end \xe7\xaf", rb"end \xe7\xaf", id="an unfinished character at the end is shown"),
    ],
)
def test_what_a_terminal_gets_to_see(raw: bytes, shown: bytes) -> None:
    assert terminal_safe(raw).removesuffix(RESET) == shown.removesuffix(RESET)


@settings(deadline=None)
@given(_HOSTILE, st.lists(st.integers(0, 200), max_size=6))
def test_where_the_chunks_are_cut_makes_no_difference(raw: bytes, cuts: list[int]) -> None:
    held = TerminalFilter()
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [held.feed(raw[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + held.finish() == terminal_safe(raw)


@settings(deadline=None)
@given(_HOSTILE)
def test_only_colours_erasing_and_plain_moves_are_left(raw: bytes) -> None:
    import re

    safe = terminal_safe(raw).decode()
    left = re.sub(r"\x1b\[[0-9;:]*m|\x1b\[[012]?K", "", safe)
    assert not [c for c in left if (c < " " and c not in "\n\t\r\b") or "\x7f" <= c <= "\x9f"]


@settings(deadline=None)
@given(_HOSTILE)
def test_a_terminal_is_left_as_it_was(raw: bytes) -> None:
    screen = pyte.Screen(200, 60)
    modes = set(screen.mode)
    # pyte takes the colons of a long colour for text, which is no matter here.
    pyte.ByteStream(screen).feed(terminal_safe(raw))
    assert (screen.title, screen.mode, screen.margins) == ("", modes, None)
    assert (screen.cursor.attrs.fg, screen.cursor.attrs.bold) == ("default", False)


def test_what_is_held_back_is_small_whatever_comes() -> None:
    held = TerminalFilter()
    fed = b"\x1b[" + b"1" * 1_000_000
    assert len(held.feed(fed)) >= 1_000_000
