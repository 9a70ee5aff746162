"""Text as man(7) macros: escapes, paragraphs, lists, and bold for what is typed. Pure."""

import re
from collections.abc import Iterable
from textwrap import wrap

_ESCAPES = {"\\": r"\e", "-": r"\-", "^": r"\(ha", "~": r"\(ti", "`": r"\(ga", "'": r"\(aq", '"': r"\(dq"}
_PARAGRAPH = ".PP\n"
_NOTHING = r"\&"
_CODE = re.compile(r"`([^`]+)`")


def plain(text: str) -> str:
    """Text as it is; characters beyond ASCII by their numbers."""
    return "".join(_ESCAPES.get(one, one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text)


def bold(text: str) -> str:
    """What is typed."""
    return rf"\fB{plain(text)}\fR"


def italic(text: str) -> str:
    """What stands for something else."""
    return rf"\fI{plain(text)}\fR"


def with_code(text: str) -> str:
    """Text in which `code` is bold."""
    pieces = _CODE.split(text)
    return "".join(bold(piece) if at % 2 else plain(piece) for at, piece in enumerate(pieces))


def line(roff: str) -> str:
    """A line of text that is no macro, whatever it begins with."""
    return rf"\&{roff}" if roff[:1] in {".", "'"} else roff


def filled(roff: str) -> str:
    """Text in lines of 80 columns at most."""
    return "\n".join(line(one) for one in wrap(roff, 79, break_long_words=False, break_on_hyphens=False))


def section(title: str, *blocks: str, macro: str = "SH") -> str:
    """A section of blocks; nothing without any."""
    text = "\n".join(block for block in blocks if block)
    return f".{macro} {title}\n{text.removeprefix(_PARAGRAPH)}" if text else ""


def paragraph(roff: str) -> str:
    """A paragraph."""
    return f"{_PARAGRAPH}{filled(roff)}"


def bullet(roff: str) -> str:
    """An entry of a list."""
    return f".IP \\(bu 2\n{filled(roff)}"


def tagged(tag: str, roff: str) -> str:
    """An entry of a list: what it is about in its own line, and the text below it."""
    return f".TP\n{line(tag)}\n{filled(roff) or _NOTHING}"


def example(lines: Iterable[str]) -> str:
    """Lines that stay as they are."""
    return "\n".join(
        [_PARAGRAPH.strip(), ".RS 4", ".nf", *(line(plain(one)) or _NOTHING for one in lines), ".fi", ".RE"]
    )
