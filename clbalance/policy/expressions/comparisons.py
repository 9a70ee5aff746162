"""The comparisons, as functions of a subject: unknown as soon as one side is; what is absent differs from all else."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from clbalance.model import Unknown
from clbalance.policy.expressions.values import Absent, Holds, Read, ReadWords, Subject, Truth, Words, version_of

_Value = TypeVar("_Value")

COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def compared_figures(sign: str, left: Read, right: Read) -> Holds:
    """Numbers, sizes in bytes, percentages."""
    return _compared(sign, left, right)


def compared_texts(sign: str, left: ReadWords, right: ReadWords) -> Holds:
    """`=` and `!=`, to the letter."""
    return _compared(sign, left, right)


def compared_versions(sign: str, left: ReadWords, right: ReadWords) -> Holds:
    """Part by part: 12.10 is more than 12.2."""
    return _compared(sign, _as_version(left), _as_version(right))


def matched(sign: str, subject_of: ReadWords, found_in: Callable[[str], bool]) -> Holds:
    """`~`: found somewhere in the text; `!~`: not."""

    def holds(subject: Subject) -> Truth:
        match subject_of(subject):
            case Unknown() as unknown:
                return unknown
            case Absent():
                return sign == "!~"
            case text:
                return found_in(text) is (sign == "~")

    return holds


def _compared(
    sign: str,
    left: Callable[[Subject], _Value | Unknown | Absent],
    right: Callable[[Subject], _Value | Unknown | Absent],
) -> Holds:
    compare = COMPARE[sign]
    if_absent = sign == "!="

    def holds(subject: Subject) -> Truth:
        one, other = left(subject), right(subject)
        if isinstance(one, Unknown):
            return one
        if isinstance(other, Unknown):
            return other
        if isinstance(one, Absent) or isinstance(other, Absent):
            return if_absent
        return compare(one, other)

    return holds


def _as_version(read: ReadWords) -> Callable[[Subject], tuple[int, ...] | Unknown | Absent]:
    def version(subject: Subject) -> tuple[int, ...] | Unknown | Absent:
        text: Words = read(subject)
        if isinstance(text, Unknown | Absent):
            return text
        found = version_of(text)
        return Unknown(why=f"{text[:40]!r} is no version") if found is None else found

    return version
