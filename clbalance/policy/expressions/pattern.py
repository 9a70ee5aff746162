"""Patterns after `~`: RE2's syntax, found anywhere in a text, in time linear in the text's length.

Imported only if a `~` is used. Python's `re` backtracks: `(a+)+b` takes it ages on forty a's.
"""

from collections.abc import Callable

import re2

MOST_SUBJECT = 512
"""Number of characters of a text to search; texts from nodes are already cut shorter than that."""
_MOST_MEMORY = 1 << 20


def _options(most_memory: int) -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # RE2 would write errors to stderr
    options.max_mem = most_memory
    options.never_capture = True  # only a match or none is needed
    return options


_OPTIONS = _options(_MOST_MEMORY)
_SYNTAX_ONLY = _options(64)
"""With these options RE2 stops after parsing the pattern, before it compiles it."""
_TOO_LARGE = "pattern too large - compile failed"
_OPENED, _CLOSED = "missing )", "unexpected )"
_MESSAGES = {
    _OPENED: "a `(` without its `)`",
    _CLOSED: "a `)` without its `(`",
    "missing ]": "a `[` without its `]`",
    "invalid character class range": "`{}` is neither a range from a smaller character to a greater one nor a class",
    "no argument for repetition operator": "there is nothing before `{}` to be repeated",
    "bad repetition operator": "`{}` repeats twice; put the first into a group, as in `(a+)*`",
    "invalid repetition size": "`{}` is not a count from 0 to 1000, the smaller number first (nested counts multiply)",
    "invalid escape sequence": "`{}` is not supported here; there are no back references",
    "invalid perl operator": "`{}` is not supported; there is no look-around, and there are no back references",
    "trailing \\": "nothing follows the last `\\`",
}
"""Our messages by RE2's messages."""


class PatternError(Exception):
    """A malformed pattern; `at`: the position of the error in it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def search_for(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether `pattern` is found in a text; `PatternError` if it is malformed or too large."""
    try:
        ready = re2.compile(pattern.encode(), _OPTIONS)
    except UnicodeEncodeError as error:
        raise PatternError("this is no UTF-8", error.start) from None
    except re2.error:
        raise _explained(pattern) from None
    return lambda text: ready.search(text[:MOST_SUBJECT].encode(errors="replace")) is not None


def _explained(pattern: str) -> PatternError:
    kind, fragment = _complaint(pattern)
    if not kind:
        return PatternError("it is too large", 0)
    return PatternError(_MESSAGES.get(kind, kind).format(fragment), _place_of(kind, fragment, pattern))


def _place_of(kind: str, fragment: str, pattern: str) -> int:
    """The position of an error. RE2 gives only the wrong fragment, so shorter and shorter beginnings are tried."""
    shorter = range(len(pattern) - 1, -1, -1)
    if kind == _OPENED:
        return next(end for end in shorter if not _complaint(pattern[:end])[0])
    before = next(end for end in shorter if _complaint(pattern[:end]) != (kind, fragment))
    return max(0, pattern.rfind(fragment or pattern[before], 0, before + 1))


def _complaint(pattern: str) -> tuple[str, str]:
    """RE2's complaint about a pattern, and the wrong fragment; both empty: the pattern is well-formed."""
    try:
        re2.compile(pattern.encode(), _SYNTAX_ONLY)
    except re2.error as error:
        kind, _, fragment = error.args[0].decode(errors="replace").partition(": ")
        if kind == _TOO_LARGE:
            return "", ""
        return kind, "" if kind in {_OPENED, _CLOSED} else fragment  # for a parenthesis RE2 gives the whole pattern
    return "", ""
