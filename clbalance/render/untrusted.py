r"""The one gate for text that came from a node or was named by a user, on its way to a terminal or a mail.

What enters may be anything; what leaves holds no C0 control (`visible` lets newline and tab through), no DEL,
no C1, no lone surrogate, and none of the invisible characters that reorder or hide what is read
(CVE-2021-42574). They are shown as escapes, `\x1b`, never dropped: an administrator must see that they were there.
JSON needs none of this: it is written in ASCII.
"""

import re

_HIDING = (
    "\u00ad\u061c\u180e\u200b-\u200f"  # soft hyphen, Arabic and Mongolian marks, zero width, left-to-right marks
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # separators, overrides, isolates, joiners, annotations
    "\ud800-\udfff"  # surrogates: undecodable bytes, which no output encoding takes
    "\U000e0000-\U000e007f"  # tags: invisible ASCII
)
_UNSAFE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_HIDING}]")
_UNSAFE_IN_LINE = re.compile(rf"[\x00-\x1f\x7f-\x9f{_HIDING}]")


def visible(text: str) -> str:
    """`text` of any number of lines, with what could act on a terminal shown as escapes."""
    return _UNSAFE.sub(_escape, text)


def visible_line(text: str) -> str:
    """`text` as part of one line: newlines and tabs are escapes too, so no row can be faked or split."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def escape_character(character: str) -> str:
    """One character as Python would write it; a surrogate from an undecodable byte as that byte."""
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        point -= 0xDC00
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _escape(match: re.Match[str]) -> str:
    return escape_character(match[0])
