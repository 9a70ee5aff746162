"""The text of a node set, before ClusterShell sees it: which characters it has, and how many names it makes at most."""

import re

# What ClusterShell's grammar needs: ranges with steps, operators , ! & ^, groups with their source, wildcards.
EXPRESSION = re.compile(r"[A-Za-z0-9_.,:@!&^*?/\[\] -]*")
# What lies between brackets, an operator, or a run of all else.
_PIECE = re.compile(r"\[([^\[\]]*)\]|([,!&^])|[^,!&^\[\]]+")
_RANGE = re.compile(r"(-?\d{1,18})-(-?\d{1,18})(?:/(\d{1,18}))?")
MAX_NODES = 200_000


def foreign_characters(text: str) -> str:
    """Those of `text` that no node set has, as far as they fit into a message; nothing where there are none."""
    if EXPRESSION.fullmatch(text):
        return ""
    return " ".join(ascii(c)[1:-1] for c in sorted({c for c in text if not EXPRESSION.fullmatch(c)})[:5])


def most_names(text: str) -> int:
    """How many names the ranges of an expression make at most; groups count as one.

    ClusterShell makes sets of all numbers before anyone can count them.
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
        return MAX_NODES + 1 if len(part) > 18 and "-" in part else 1  # more digits than a number may have here
    return max(1, (int(found[2]) - int(found[1])) // max(1, int(found[3] or 1)) + 1)
