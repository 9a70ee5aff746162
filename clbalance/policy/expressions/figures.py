"""Numbers, sizes in bytes and percentages: what was typed, and what is reckoned from two of them."""

import operator
from collections.abc import Callable
from typing import Final

from clbalance.model import Unknown
from clbalance.policy.expressions.tree import Kind
from clbalance.policy.expressions.values import Absent, Figure, Read, Subject

FIGURES: Final = frozenset({Kind.NUMBER, Kind.SIZE, Kind.PERCENT})
_FACTORS: Final = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_RECKON: Final = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def constant(kind: Kind, text: str) -> Read:
    """What was typed: `20G` in bytes, `10%` as 10."""
    if kind is Kind.SIZE:
        digits = text.rstrip("KMGTBkmgtbi")
        value = float(digits) * _FACTORS[text[len(digits)].upper()]
    else:
        value = float(text.removesuffix("%"))
    return lambda _: value


def negated(read: Read) -> Read:
    """With the other sign; what is not known stays so."""

    def figure(subject: Subject) -> Figure:
        value = read(subject)
        return value if isinstance(value, Unknown | Absent) else -value

    return figure


def share(part: Read, whole: Read) -> Read:
    """In per cent."""
    return _reckoned(
        lambda one, other: 100.0 * one / other if other else Unknown(why="there is nothing of it"), part, whole
    )


def arithmetic(sign: str, left: tuple[Kind, Read], right: tuple[Kind, Read]) -> tuple[Kind, Read] | None:
    """The kind of what comes out, and how; None where that has no sense."""
    (one, read_one), (other, read_other) = left, right
    kind = _kind(sign, one, other)
    if kind is None:
        return None
    if sign == "/":
        return kind, _reckoned(_divided, read_one, read_other)
    if sign == "*" and {one, other} == {Kind.SIZE, Kind.PERCENT}:
        return kind, _reckoned(lambda a, b: a * b / 100.0, read_one, read_other)
    return kind, _reckoned(_RECKON[sign], read_one, read_other)


def _kind(sign: str, one: Kind, other: Kind) -> Kind | None:
    if sign in {"+", "-"}:
        if one is other:
            return one
        return Kind.NUMBER if {one, other} == {Kind.NUMBER, Kind.PERCENT} else None
    if sign == "/":
        return Kind.NUMBER if one is other else one if other is Kind.NUMBER else None
    match one, other:
        case (Kind.NUMBER, kind) | (kind, Kind.NUMBER):
            return kind
        case (Kind.SIZE, Kind.PERCENT) | (Kind.PERCENT, Kind.SIZE):
            return Kind.SIZE
        case _:
            return None


def _divided(one: float, other: float) -> float | Unknown:
    return one / other if other else Unknown(why="a division by 0")


def _reckoned(reckon: Callable[[float, float], float | Unknown], left: Read, right: Read) -> Read:
    def figure(subject: Subject) -> Figure:
        one, other = left(subject), right(subject)
        if isinstance(one, Unknown):
            return one
        if isinstance(other, Unknown):
            return other
        if isinstance(one, Absent):
            return one
        return other if isinstance(other, Absent) else reckon(one, other)

    return figure
