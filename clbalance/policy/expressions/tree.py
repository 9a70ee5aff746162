"""Expression trees, and the text of a tree, which parses to the same tree.

`at` is the position of a node in the text; it does not count when trees are compared.
"""

from dataclasses import field
from enum import Enum
from typing import TypeAlias, assert_never

from clbalance.lazy_dataclass import dataclass


class ValueType(Enum):
    """The type of a value, in words that fit after "is"."""

    NUMBER = "a number"
    SIZE = "a size"
    PERCENT = "a percentage"
    VERSION = "a version"
    TEXT = "text"
    LABEL = "a label"
    TRUTH = "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value as typed; a text without its quotes."""

    kind: ValueType
    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A load index, a fact or a label, or a text without quotes."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """`-operand`."""

    operand: "Tree"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """One of `+ - * /`; `at` is that of the operator."""

    operator: str
    left: "Tree"
    right: "Tree"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTree:
    """One of `< <= > >= = != ~ !~`; `at` is that of the operator."""

    operator: str
    left: "Tree"
    right: "Tree"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """`not operand`."""

    operand: "Tree"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """`and` or `or` of two or more."""

    operator: str
    parts: "tuple[Tree, ...]"
    at: int = field(default=0, compare=False)


Tree: TypeAlias = Literal | Name | Negative | Arithmetic | ComparisonTree | Not | Junction

_BINDS = {"or": 0, "and": 1, "not": 2, "compare": 3, "+": 4, "-": 4, "*": 5, "/": 5, "negative": 6, "value": 7}


def text_of(tree: Tree) -> str:
    """The tree as text, with the fewest parentheses."""
    return _written(tree)[0]


def start_of(tree: Tree) -> int:
    """Where its text begins."""
    match tree:
        case Arithmetic(left=left) | ComparisonTree(left=left):
            return start_of(left)
        case _:
            return tree.at


def _written(tree: Tree) -> tuple[str, int]:  # noqa: PLR0911 - one return for each kind of node
    """The text, and its binding strength."""
    match tree:
        case Literal(kind=ValueType.TEXT, text=text):
            return quoted(text), _BINDS["value"]
        case Literal(text=text) | Name(name=text):
            return text, _BINDS["value"]
        case Negative(operand=operand):
            return f"-{_within(operand, _BINDS['negative'])}", _BINDS["negative"]
        case Arithmetic(operator=operator, left=left, right=right):
            binds = _BINDS[operator]
            return f"{_within(left, binds)} {operator} {_within(right, binds + 1)}", binds
        case ComparisonTree(operator=operator, left=left, right=right):
            binds = _BINDS["compare"]
            return f"{_within(left, binds + 1)} {operator} {_within(right, binds + 1)}", binds
        case Not(operand=operand):
            return f"not {_within(operand, _BINDS['not'])}", _BINDS["not"]
        case Junction(operator=operator, parts=parts):
            binds = _BINDS[operator]
            return f" {operator} ".join(_within(part, binds + 1) for part in parts), binds
        case _:
            assert_never(tree)


def _within(tree: Tree, least: int) -> str:
    text, binds = _written(tree)
    return text if binds >= least else f"({text})"


def quoted(text: str) -> str:
    r"""The text in quotes: a backslash stands for itself unless a quote follows it."""
    pairs = _pairs(text)
    quote = "'" if '\\"' in pairs else '"'
    return quote + "".join(f"\\{pair}" if pair == quote else pair for pair in pairs) + quote


def _pairs(text: str) -> list[str]:
    """The characters; a backslash together with the next one."""
    pairs, at = [], 0
    while at < len(text):
        step = 2 if text[at] == "\\" else 1
        pairs.append(text[at : at + step])
        at += step
    return pairs
