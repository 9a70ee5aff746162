"""The order of names as people count: `node2` before `node10`."""

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_order(name: str) -> list[str]:
    """A sort key for any text. A number is ordered by its length and then its digits, however long it is."""
    return [_number(part) if at % 2 else part for at, part in enumerate(_DIGITS.split(name))]


def _number(digits: str) -> str:
    kept = digits.lstrip("0")
    return f"{len(kept):09d}{kept}"
