r"""A regular expression as a tree: what every tool has of them, and nothing that can take time without end.

Known are alternatives, groups, `* + ? {m,n}`, classes, `^ $ .`, escapes of signs, `\d \w \s \D \W \S`, and `(?i)` at
the beginning. There are no back references and nothing that looks around.
"""

import re
from typing import NoReturn, TypeAlias

from clbalance.lazy_dataclass import dataclass

MOST_REPEATS = 100
_MOST_DEEP = 40
_LAST = 0x10FFFF
_CLASSES = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
    "s": (("\t", "\r"), (" ", " ")),
}
_COUNTED = re.compile(r"\{(\d{0,4})(,?)(\d{0,4})\}")


class PatternError(Exception):
    """What is wrong with a pattern, and where in it."""

    def __init__(self, told: str, at: int) -> None:
        super().__init__(told)
        self.told = told
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Characters:
    """One character, in one of these ranges, or where `negated` in none."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def __contains__(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The beginning of the subject, or its end."""

    of_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """One part after another."""

    parts: "tuple[Pattern, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """One of these."""

    parts: "tuple[Pattern, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """So many times at least and at most; None: without limit."""

    part: "Pattern"
    least: int
    most: int | None


Pattern: TypeAlias = Characters | Edge | Sequence | Alternatives | Repeated

ANY = Characters(ranges=(("\n", "\n"),), negated=True)


def parse_pattern(text: str) -> tuple[Pattern, bool]:
    """The tree, and whether case counts; `PatternError` for what is none."""
    counts = not text.startswith("(?i)")
    reader = _Reader(text, 0 if counts else len("(?i)"))
    tree = reader.alternatives()
    if not reader.is_over:
        raise PatternError("a `)` without its `(`", reader.at)
    return tree, counts


class _Reader:
    """Goes through the text once, from left to right."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at
        self._deep = 0

    @property
    def is_over(self) -> bool:
        return self.at >= len(self._text)

    def alternatives(self) -> Pattern:
        parts = [self._sequence()]
        while self._takes("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Alternatives(parts=tuple(parts))

    def _sequence(self) -> Pattern:
        parts: list[Pattern] = []
        while not self.is_over and self._here not in "|)":
            parts.append(self._repeated())
        return parts[0] if len(parts) == 1 else Sequence(parts=tuple(parts))

    def _repeated(self) -> Pattern:
        part = self._single()
        while not self.is_over and (counts := self._counts()) is not None:
            part = Repeated(part=part, least=counts[0], most=counts[1])
            if self._takes("?"):
                pass  # a lazy one matches the same subjects
        return part

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._takes(sign):
                return counts
        found = _COUNTED.match(self._text, self.at)
        if found is None or not (found[1] or found[3]):
            return None
        least = int(found[1] or 0)
        most = int(found[3]) if found[3] else (None if found[2] else least)
        if least > MOST_REPEATS or (most is not None and not least <= most <= MOST_REPEATS):
            self._fail(f"`{found[0]}` is no count from 0 to {MOST_REPEATS}, the smaller one first")
        self.at = found.end()
        return least, most

    def _single(self) -> Pattern:  # noqa: PLR0911 - one return for each sign
        sign = self._here
        self.at += 1
        match sign:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escaped()
            case ".":
                return ANY
            case "^" | "$":
                return Edge(of_end=sign == "$")
            case "*" | "+" | "?":
                self.at -= 1
                return self._fail(f"there is nothing before `{sign}` to be repeated")
            case _:
                return Characters(ranges=((sign, sign),))

    def _group(self) -> Pattern:
        opened = self.at - 1
        if self._takes("?") and not self._takes(":"):
            self._fail("of the groups with `?` only `(?:` is known, and `(?i)` at the beginning")
        self._deep += 1
        if self._deep > _MOST_DEEP:
            self._fail(f"groups nested more than {_MOST_DEEP} deep")
        inner = self.alternatives()
        self._deep -= 1
        if not self._takes(")"):
            self.at = opened
            self._fail("a `(` without its `)`")
        return inner

    def _class(self) -> Pattern:
        opened = self.at - 1
        negated = self._takes("^")
        ranges: list[tuple[str, str]] = []
        while self.is_over or self._here != "]" or not ranges:
            if self.is_over:
                self.at = opened
                self._fail("a `[` without its `]`")
            ranges += self._member()
        self.at += 1
        return Characters(ranges=tuple(ranges), negated=negated)

    def _member(self) -> tuple[tuple[str, str], ...]:
        first = self._bound()
        if len(first) != 1 or first[0][0] != first[0][1]:
            return first
        if self._text[self.at : self.at + 1] != "-" or self._text[self.at + 1 : self.at + 2] in {"", "]"}:
            return first
        self.at += 1
        last = self._bound()
        if last[0][0] != last[-1][1] or last[0][0] < first[0][0]:
            self._fail("a range goes from the smaller character to the greater one")
        return ((first[0][0], last[0][0]),)

    def _bound(self) -> tuple[tuple[str, str], ...]:
        sign = self._here
        self.at += 1
        if sign != "\\":
            return ((sign, sign),)
        escaped = self._escaped()
        return _inverted(escaped.ranges) if escaped.negated else escaped.ranges

    def _escaped(self) -> Characters:
        if self.is_over:
            self.at -= 1
            self._fail("nothing follows the last `\\`")
        sign = self._here
        self.at += 1
        if ranges := _CLASSES.get(sign.lower()):
            return Characters(ranges=ranges, negated=sign.isupper())
        if sign.isalnum():
            self.at -= 1
            self._fail(f"`\\{sign}` is not known, only `\\d \\w \\s \\D \\W \\S`")
        return Characters(ranges=((sign, sign),))

    @property
    def _here(self) -> str:
        return self._text[self.at]

    def _takes(self, sign: str) -> bool:
        if self.is_over or self._here != sign:
            return False
        self.at += 1
        return True

    def _fail(self, told: str) -> NoReturn:
        raise PatternError(told, self.at)


def _inverted(ranges: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Every character that is in none of `ranges`, which are in order."""
    edges = [-1, *(ord(edge) for pair in ranges for edge in pair), _LAST + 1]
    between = zip(edges[::2], edges[1::2], strict=True)
    return tuple((chr(last + 1), chr(first - 1)) for last, first in between if last + 1 < first)
