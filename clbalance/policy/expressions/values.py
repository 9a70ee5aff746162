"""Values of expressions on a node or a GPU, and their comparisons: unknown if one side is unknown."""

import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.allocations import NodeAllocations, allocations_of


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of an expression: a node, and one of its GPUs.

    `gpu` is None if the node has no GPU, and unknown if its tool hung or failed.
    """

    answer: Measured
    gpu: Gpu | Unknown | None = None

    @property
    def allocations(self) -> NodeAllocations:
        """The node's allocations."""
        return allocations_of(self.answer)


def devices_of(answer: Measured) -> tuple[Subject, ...]:
    """One subject for each GPU of the node; a node without GPUs is one subject."""
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return (Subject(answer, gpus),)
    return tuple(Subject(answer, gpu) for gpu in gpus) or (Subject(answer, None),)


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that is known not to exist: a label that the node does not have, GPU memory without a GPU. It is not
    unknown, so it compares as different from everything.
    """

    reason: str


Aggregate: TypeAlias = float | Unknown | Absent
Words: TypeAlias = str | Unknown | Absent
Truth: TypeAlias = bool | Unknown
# The argument is a subject of the kind that the table of names is about: `Subject`, or a step of a playbook
# (`playbook/conditions.py`).
Read: TypeAlias = Callable[[Any], Aggregate]
ReadWords: TypeAlias = Callable[[Any], Words]
Holds: TypeAlias = Callable[[Any], Truth]

Version: TypeAlias = tuple[int, ...]
_VERSION = re.compile(r"[vV]?(\d{1,9}(?:\.\d{1,9}){0,9})(?![\d.])", re.ASCII)


@lru_cache(maxsize=1024)
def version_of(text: str) -> Version | None:
    """The parts of `535.104.12`, without zeros at the end, so that 12 equals 12.0; a suffix such as `-1` is ignored.

    None: the text does not begin with a version.
    """
    found = _VERSION.match(text.strip())
    if found is None:
        return None
    parts = [int(part) for part in found[1].split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def format_value(value: float, unit: str) -> str:
    """A number for people: `19.5G` for bytes, `40%`, `0.25`, `123456`."""
    if unit != "bytes":
        return f"{value:.4g}{unit}" if abs(value) < 9999.5 else f"{value:.0f}{unit}"
    for factor, letter in ((2**40, "T"), (2**30, "G"), (2**20, "M"), (2**10, "K")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.0f}B"


# -- comparisons, as functions of a subject: unknown if one side is; an absent value differs from all others

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
    """Comparison of numbers, sizes in bytes, or percentages."""
    return _compared(sign, left, right)


def compared_texts(sign: str, left: ReadWords, right: ReadWords) -> Holds:
    """`=` and `!=` of texts, which must match exactly."""
    return _compared(sign, left, right)


def compared_versions(sign: str, left: ReadWords, right: ReadWords) -> Holds:
    """Comparison of versions part by part: 12.10 is greater than 12.2."""
    return _compared(sign, _as_version(left), _as_version(right))


def matched(sign: str, subject_of: ReadWords, found_in: Callable[[str], bool]) -> Holds:
    """`~`: found anywhere in the text; `!~`: not found."""

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
        return Unknown(reason=f"{text[:40]!r} is no version") if found is None else found

    return version
