"""Lexer: an expression's text as tokens with positions; and arithmetic on numbers, sizes and percentages."""

import operator
import re
from collections.abc import Callable
from enum import Enum
from typing import Final

from clbalance.errors import ExpressionError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.policy.expressions.tree import ValueType
from clbalance.policy.expressions.values import Absent, Aggregate, Read, Subject

MOST_CHARACTERS = 1000

_TOKEN = re.compile(
    r"""(?P<number>\d[\w.%]*)
    | (?P<name>[A-Za-z_][\w.]*)
    | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<sign>&& | \|\| | <= | >= | == | != | !~ | [<>=~!()+*/:-])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SIZE = re.compile(r"\d+(?:\.\d+)?(?:[KMGTkmgt](?:i?[Bb])?|[Bb])")
_PERCENT = re.compile(r"\d+(?:\.\d+)?%")
_VERSION = re.compile(r"\d+(?:\.\d+){2,}")
_SAME_SIGN = {"&&": "and", "||": "or", "!": "not", "==": "="}
_WORDS = frozenset({"and", "or", "not"})
_HINTS = {
    "&": "`and`, or `&&`",
    "|": '`or`, or `||`; in a pattern it stands in quotes: `"A100|H100"`',
    '"': 'a text ends with the quote that it began with: `"A100"`',
    "'": "a text ends with the quote that it began with: `'A100'`",
}


class Sort(Enum):
    """The kind of a token."""

    VALUE = "value"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token; `kind`: type of a value. Signs and words with two spellings have `text` in the usual spelling."""

    sort: Sort
    text: str
    at: int
    kind: ValueType = ValueType.TRUTH


def tokens_of(option: str, text: str) -> list[Token]:
    """The tokens, with an end token last; `ExpressionError` for malformed text."""
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"`{option}` has more than {MOST_CHARACTERS} characters", text="", at=0)
    tokens, at = [], _after_blanks(text, 0)
    if at == len(text):
        raise ExpressionError(f"`{option}` is empty", text="", at=0)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            sign = text[at]
            raise ExpressionError(f"`{option}`: unexpected {sign!r}", text=text, at=at, hint=_HINTS.get(sign, ""))
        tokens.append(_token(option, text, found))
        at = _after_blanks(text, found.end())
    return [*tokens, Token(sort=Sort.END, text="", at=len(text))]


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _token(option: str, text: str, found: re.Match[str]) -> Token:
    word, at = found[0], found.start()
    match found.lastgroup:
        case "number":
            kind = _kind_of_number(word)
            if kind is None:
                raise ExpressionError(
                    f"`{option}`: `{word}` is not a number, size, percentage or version",
                    text=text,
                    at=at,
                    hint="`5`, `20G`, `10%`, `535.104.12`; anything else in quotes",
                )
            return Token(sort=Sort.VALUE, text=word, at=at, kind=kind)
        case "text":
            return Token(sort=Sort.VALUE, text=_between_quotes(word), at=at, kind=ValueType.TEXT)
        case "name" if word.lower() not in _WORDS:
            return Token(sort=Sort.NAME, text=word, at=at)
        case _:
            return Token(sort=Sort.SIGN, text=_SAME_SIGN.get(word, word.lower()), at=at)


def _kind_of_number(word: str) -> ValueType | None:
    forms = (
        (_NUMBER, ValueType.NUMBER),
        (_SIZE, ValueType.SIZE),
        (_PERCENT, ValueType.PERCENT),
        (_VERSION, ValueType.VERSION),
    )
    return next((kind for form, kind in forms if form.fullmatch(word)), None)


def _between_quotes(word: str) -> str:
    r"""The content of a quoted text: only `\"` (for the quote in use) is an escape; patterns need other backslashes."""
    quote = word[0]
    return re.sub(r"\\(.)", lambda pair: quote if pair[1] == quote else pair[0], word[1:-1], flags=re.DOTALL)


# -- numbers, sizes in bytes and percentages, and arithmetic on them

FIGURES: Final = frozenset({ValueType.NUMBER, ValueType.SIZE, ValueType.PERCENT})
_FACTORS: Final = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_RECKON: Final = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def constant(kind: ValueType, text: str) -> Read:
    """A reader of a literal: `20G` in bytes, `10%` as 10."""
    if kind is ValueType.SIZE:
        digits = text.rstrip("KMGTBkmgtbi")
        value = float(digits) * _FACTORS[text[len(digits)].upper()]
    else:
        value = float(text.removesuffix("%"))
    return lambda _: value


def negated(read: Read) -> Read:
    """The number with the opposite sign; unknown stays unknown."""

    def figure(subject: Subject) -> Aggregate:
        value = read(subject)
        return value if isinstance(value, Unknown | Absent) else -value

    return figure


def share(part: Read, whole: Read) -> Read:
    """`part` in per cent of `whole`."""
    return _reckoned(
        lambda one, other: 100.0 * one / other if other else Unknown(reason="there is nothing of it"), part, whole
    )


def arithmetic(sign: str, left: tuple[ValueType, Read], right: tuple[ValueType, Read]) -> tuple[ValueType, Read] | None:
    """The type and the reader of the result; None if the types do not fit the operator."""
    (one, read_one), (other, read_other) = left, right
    kind = _kind(sign, one, other)
    if kind is None:
        return None
    if sign == "/":
        return kind, _reckoned(_divided, read_one, read_other)
    if sign == "*" and {one, other} == {ValueType.SIZE, ValueType.PERCENT}:
        return kind, _reckoned(lambda a, b: a * b / 100.0, read_one, read_other)
    return kind, _reckoned(_RECKON[sign], read_one, read_other)


def _kind(sign: str, one: ValueType, other: ValueType) -> ValueType | None:
    if sign in {"+", "-"}:
        if one is other:
            return one
        return ValueType.NUMBER if {one, other} == {ValueType.NUMBER, ValueType.PERCENT} else None
    if sign == "/":
        return ValueType.NUMBER if one is other else one if other is ValueType.NUMBER else None
    match one, other:
        case (ValueType.NUMBER, kind) | (kind, ValueType.NUMBER):
            return kind
        case (ValueType.SIZE, ValueType.PERCENT) | (ValueType.PERCENT, ValueType.SIZE):
            return ValueType.SIZE
        case _:
            return None


def _divided(one: float, other: float) -> float | Unknown:
    return one / other if other else Unknown(reason="a division by 0")


def _reckoned(reckon: Callable[[float, float], float | Unknown], left: Read, right: Read) -> Read:
    def figure(subject: Subject) -> Aggregate:
        one, other = left(subject), right(subject)
        if isinstance(one, Unknown):
            return one
        if isinstance(other, Unknown):
            return other
        if isinstance(one, Absent):
            return one
        return other if isinstance(other, Absent) else reckon(one, other)

    return figure
