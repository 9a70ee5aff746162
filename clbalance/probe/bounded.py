"""Numbers and words out of a node's text, believed only within limits."""

import re

_WHOLE = re.compile(r"[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def whole(text: str, *, most: int) -> int | None:
    """The number 0…`most` that is written there, or None."""
    text = text.strip(" \t")
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if number <= most else None


def decimal(text: str, *, most: float) -> float | None:
    """The number 0…`most` that is written there, or None; no exponent, no sign, no NaN."""
    text = text.strip(" \t")
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if number <= most else None


def wholes(words: list[str], *, most: int) -> list[int] | None:
    """All of them as numbers 0…`most`, or None if one is not."""
    numbers = [number for word in words if (number := whole(word, most=most)) is not None]
    return numbers if len(numbers) == len(words) else None


def words_of(text: str, *, most: int = 120) -> str:
    """The first line with something in it, printable and not long: a program's own words for a reason."""
    for line in text.splitlines():
        printable = "".join(char for char in line if char.isprintable()).strip()
        if printable:
            return printable if len(printable) <= most else printable[: most - 1] + "…"
    return ""
