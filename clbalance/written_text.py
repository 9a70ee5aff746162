"""Text that people write in an editor or export from a program: what its first bytes and its line ends may be.

UTF-8's byte order mark is dropped. UTF-16 and UTF-32 are refused in words: read as UTF-8 they mean something else, or
nothing. Pure.
"""

_BOM = b"\xef\xbb\xbf"
_WIDE = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
LOOKED_AT = 64
"""So many bytes at the beginning show the encoding."""


class NotUtf8Error(ValueError):
    """The text is not UTF-8. Its message says what it is: "UTF-16, not UTF-8", or "line 3 is not UTF-8"."""

    hint = "save it as UTF-8"


def without_bom(content: bytes) -> bytes:
    """`content` without UTF-8's byte order mark; `NotUtf8Error` for UTF-16 and UTF-32, with or without theirs."""
    encoding = next((name for mark, name in _WIDE if content.startswith(mark)), "") or _unmarked(content[:LOOKED_AT])
    if encoding:
        error = NotUtf8Error(f"{encoding}, not UTF-8")
        error.hint = f"save it as UTF-8: `iconv -f {encoding} -t UTF-8 OLD >NEW`"
        raise error
    return content.removeprefix(_BOM)


def utf8_text(content: bytes) -> str:
    """`content` as text without its byte order mark; `NotUtf8Error` if it is not UTF-8."""
    plain = without_bom(content)
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        line = plain.count(b"\n", 0, error.start) + 1
        raise NotUtf8Error(f"line {line} is not UTF-8") from error


def _unmarked(head: bytes) -> str:
    """UTF-16 without a byte order mark: of plain Latin text, every other byte is NUL, and no other."""
    even, odd = head[0::2], head[1::2]
    for zeros, letters, name in ((odd, even, "UTF-16LE"), (even, odd, "UTF-16BE")):
        if len(zeros) > 1 and not zeros.strip(b"\0") and b"\0" not in letters:
            return name
    return ""
