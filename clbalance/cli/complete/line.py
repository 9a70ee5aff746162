"""What has been typed: the words before the cursor's word, and that word itself. Pure."""

import re
from typing import NamedTuple

_PIECE = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\]""", re.DOTALL)
_SPACES = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Typed(NamedTuple):
    """The words without their quotes; `current` is the one at the cursor."""

    before: tuple[str, ...]
    current: str
    is_plain: bool = True
    """Whether `current` has no quotes, but perhaps an open one at its beginning. A shell's expansions are not plain."""
    is_open: bool = False
    """Whether it began with a quote that is still open."""


def typed_words(words: list[str]) -> Typed:
    """Words from a shell that has split the line itself, and removed the quotes of all but the last."""
    *before, current = words or [""]
    return _with_current(before, current)


def typed_line(line: str) -> Typed:
    """Split a line that ends at the cursor, as a POSIX shell does; the program's own word is dropped."""
    before: list[str] = []
    at = 0
    while True:
        start = at = _SPACES.match(line, at).end()  # type: ignore[union-attr]  # matches everything
        word = ""
        while piece := _PIECE.match(line, at):
            word += _without_quotes(piece[0])
            at = piece.end()
        if at == len(line) or not line[at].isspace():
            return _with_current(before[1:], line[start:])
        before.append(word)


def _with_current(before: list[str], raw: str) -> Typed:
    is_open = raw[:1] in {"'", '"'}
    text = raw[1:] if is_open else raw
    is_plain = not any(character in text for character in "'\"\\$`")
    return Typed(before=tuple(before), current=text, is_plain=is_plain, is_open=is_open)


def _without_quotes(piece: str) -> str:
    if piece[0] == "'":
        return piece[1:-1]
    return _ESCAPED.sub(r"\1", piece[1:-1] if piece[0] == '"' else piece)
