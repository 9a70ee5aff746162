"""Text as editors of all systems write it: a byte order mark does not matter, and UTF-16 is told."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.written_text import LOOKED_AT, NotUtf8Error, utf8_text, without_bom

LATIN = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=2, max_size=200)


@given(st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
def test_a_byte_order_mark_is_dropped(text: str) -> None:
    assert utf8_text(text.encode("utf-8-sig")) == utf8_text(text.encode()) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@given(LATIN)
def test_utf_16_is_told_with_and_without_its_mark(encoding: str, text: str) -> None:
    for content in (text.encode(encoding), text.encode(encoding)[:LOOKED_AT]):
        if encoding == "utf-32" or len(content) >= 4:
            with pytest.raises(NotUtf8Error, match=encoding[:6].upper()) as caught:
                without_bom(content)
            assert "iconv" in caught.value.hint


@given(st.binary())
def test_any_bytes_are_text_or_told(content: bytes) -> None:
    with suppress(NotUtf8Error):
        assert utf8_text(content) == content.removeprefix(b"\xef\xbb\xbf").decode()


def test_a_byte_that_is_not_utf_8_has_its_line() -> None:
    with pytest.raises(NotUtf8Error, match="line 3 is not UTF-8"):
        utf8_text(b"a\nb\n\xe9\n")
