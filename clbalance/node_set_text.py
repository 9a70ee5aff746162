"""Checks of a node set's text before ClusterShell parses it: allowed characters, and an upper bound of its names."""

import re

# Characters of ClusterShell's grammar: ranges with steps, operators , ! & ^, groups with their source, wildcards.
_NODES = re.compile(r"[A-Za-z0-9_.,:@!&^*?/\[\] -]*")
# Where groups are named also those of names in files, such as `rack=1`; commands get fewer
# (transport/group_sources.py). None is one that a shell heeds within a word: no quotes, `$`, `;`, `|`, `<`, `(`.
_WITH_GROUPS = re.compile(r"[\w.,:@!&^*?/\[\] =+~#%-]*")
# The text between brackets, an operator, or a run of other characters.
_PIECE = re.compile(r"\[([^\[\]]*)\]|([,!&^])|[^,!&^\[\]]+")
_RANGE = re.compile(r"(-?\d{1,18})-(-?\d{1,18})(?:/(\d{1,18}))?")
MAX_NODES = 200_000


def foreign_characters(text: str) -> str:
    """Characters of `text` that a node set may not have, at most five, for a message; empty if all are allowed."""
    allowed = _WITH_GROUPS if "@" in text else _NODES
    if allowed.fullmatch(text):
        return ""
    return " ".join(ascii(c)[1:-1] for c in sorted({c for c in text if not allowed.fullmatch(c)})[:5])


def most_names(text: str) -> int:
    """Upper bound of the number of names in an expression; a group counts as one.

    ClusterShell itself expands all ranges before they can be counted.
    """
    total, product = 0, 1
    for piece in _PIECE.finditer(text):
        if piece[2]:
            total, product = total + product, 1
        elif piece[1] is not None:
            product *= sum(_size(part) for part in piece[1].split(","))
    return total + product


def _size(part: str) -> int:
    found = _RANGE.fullmatch(part.replace(" ", ""))
    if found is None:
        return MAX_NODES + 1 if len(part) > 18 and "-" in part else 1  # a number with too many digits
    return max(1, (int(found[2]) - int(found[1])) // max(1, int(found[3] or 1)) + 1)
