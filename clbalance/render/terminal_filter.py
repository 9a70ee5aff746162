"""Job output on its way to a terminal: bytes in, bytes out, whatever the chunks.

Looser than `untrusted`, for the output is the user's own: colours (SGR), erase-line, carriage return and
backspace pass, so progress bars and compilers look as they do at home. Everything else that a terminal acts
on is made visible: cursor moves, OSC (titles, clipboard, links), C1, and bytes that are not UTF-8.
"""

import codecs
import re

from clbalance.render.untrusted import escape_character

RESET = b"\x1b[0m"

# 24 characters hold `38:2::255:255:255` and some more; what is longer is no colour.
_ALLOWED = r"\x1b\[[0-9;:]{0,24}m|\x1b\[[012]?K"
_UNSAFE = re.compile(_ALLOWED + "|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 32  # more than an allowed escape has
_PLAIN = re.compile(rb"[\t\x20-\x7e]*")  # most lines; ten times faster
_UNFINISHED = re.compile(r"\x1b(\[[0-9;:]{0,24})?\Z")


class TerminalFilter:
    """One stream's filter; keeps at most one unfinished character and one unfinished escape between chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._styled = False

    def feed(self, chunk: bytes) -> bytes:
        """The part of the stream that is complete with `chunk`, made safe."""
        text = self._held + self._decoder.decode(chunk)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST))
        self._held = unfinished[0] if unfinished else ""
        return self._passed(text[: len(text) - len(self._held)])

    def finish(self) -> bytes:
        """What was held back, at the end of the stream; a colour still set is taken back."""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return self._passed(text) + (RESET if self._styled else b"")

    def _passed(self, text: str) -> bytes:
        safe = _UNSAFE.sub(_keep_or_escape, text)
        self._styled = self._styled or "\x1b[" in safe
        return safe.encode()


def _keep_or_escape(match: re.Match[str]) -> str:
    found = match[0]
    return found if len(found) > 1 else escape_character(found)


def terminal_safe(whole: bytes) -> bytes:
    """All of `whole` made safe; a colour that is set in it ends with it."""
    if _PLAIN.fullmatch(whole):
        return whole
    held = TerminalFilter()
    return held.feed(whole) + held.finish()
