"""The parser. The grammar, lowest binding first:

    order      = sum { ":" sum }
    where      = and { "or" and }            "or" is also "||"
    and        = not { "and" not }           "and" is also "&&"
    not        = "not" not | comparison      "not" is also "!"
    comparison = sum [ ("<" | "<=" | ">" | ">=" | "=" | "==" | "!=" | "~" | "!~") sum ]
    sum        = product { ("+" | "-") product }
    product    = unary { ("*" | "/") unary }
    unary      = "-" unary | value
    value      = NUMBER | SIZE | PERCENTAGE | VERSION | TEXT | NAME | "(" where ")"

Types of values are checked by the compiler, not here.
"""

from collections.abc import Callable

from clbalance.errors import ExpressionError
from clbalance.policy.expressions.tokens import Sort, Token, tokens_of
from clbalance.policy.expressions.tree import (
    Arithmetic,
    ComparisonTree,
    Junction,
    Literal,
    Name,
    Negative,
    Not,
    Tree,
    start_of,
)

_MOST_DEEP = 40
_COMPARE = frozenset({"<", "<=", ">", ">=", "=", "!=", "~", "!~"})
_A_VALUE = "a name such as `mem`, a number, a size such as `20G`, a text in quotes, or `(`"


def parse_condition(option: str, text: str) -> Tree:
    """The whole text as one expression; `ExpressionError` if it is malformed."""
    parser = _Parser(option, text)
    tree = parser.condition()
    parser.end(
        "`and`, `or` or the end" if isinstance(tree, ComparisonTree | Not | Junction) else "a comparison, as `> 5`"
    )
    return tree


def parse_keys(option: str, text: str) -> tuple[Tree, ...]:
    """The whole text as expressions separated by `:`; `ExpressionError` if it is malformed."""
    parser = _Parser(option, text)
    keys = [parser.sum()]
    while parser.takes(":"):
        keys.append(parser.sum())
    parser.end("`:`, an operator such as `+`, or the end")
    return tuple(keys)


class _Parser:
    """Goes through the tokens once, from left to right."""

    def __init__(self, option: str, text: str) -> None:
        self._option = option
        self._text = text
        self._tokens = tokens_of(option, text)
        self._next = 0
        self._deep = 0

    def condition(self) -> Tree:
        return self._junction("or", lambda: self._junction("and", self._negation))

    def sum(self) -> Tree:
        tree = self._product()
        while self._sign in {"+", "-"}:
            sign = self._take()
            tree = Arithmetic(operator=sign.text, left=tree, right=self._product(), at=sign.at)
        return tree

    def takes(self, sign: str) -> bool:
        """Whether this sign comes next; if so it is consumed."""
        if self._sign != sign:
            return False
        self._next += 1
        return True

    def end(self, expected: str) -> None:
        """`ExpressionError` if the text goes on."""
        if self._token.sort is not Sort.END:
            raise self._unexpected(expected)

    def _junction(self, word: str, part: Callable[[], Tree]) -> Tree:
        first = part()
        parts = [first]
        while self.takes(word):
            parts.append(part())
        return first if len(parts) == 1 else Junction(operator=word, parts=tuple(parts), at=start_of(first))

    def _negation(self) -> Tree:
        at = self._token.at
        return Not(operand=self._deeper(self._negation), at=at) if self.takes("not") else self._comparison()

    def _comparison(self) -> Tree:
        left = self.sum()
        if self._sign not in _COMPARE:
            return left
        sign = self._take()
        right = self.sum()
        if self._sign in _COMPARE:
            raise self._error("comparisons cannot be chained", hint="`1 < r1m and r1m < 2`")
        return ComparisonTree(operator=sign.text, left=left, right=right, at=sign.at)

    def _product(self) -> Tree:
        tree = self._unary()
        while self._sign in {"*", "/"}:
            sign = self._take()
            tree = Arithmetic(operator=sign.text, left=tree, right=self._unary(), at=sign.at)
        return tree

    def _unary(self) -> Tree:
        at = self._token.at
        return Negative(operand=self._deeper(self._unary), at=at) if self.takes("-") else self._value()

    def _value(self) -> Tree:
        token = self._take()
        match token.sort:
            case Sort.VALUE:
                return Literal(kind=token.kind, text=token.text, at=token.at)
            case Sort.NAME:
                return Name(name=token.text, at=token.at)
            case Sort.SIGN if token.text == "(":
                inner = self._deeper(self.condition)
                if not self.takes(")"):
                    raise self._unexpected("`)`")
                return inner
            case _:
                self._next -= 1
                raise self._unexpected(_A_VALUE)

    def _deeper(self, part: Callable[[], Tree]) -> Tree:
        self._deep += 1
        if self._deep > _MOST_DEEP:
            raise self._error(f"nested more than {_MOST_DEEP} deep")
        tree = part()
        self._deep -= 1
        return tree

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    @property
    def _sign(self) -> str:
        """The next token if it is a sign; else the empty string."""
        return self._token.text if self._token.sort is Sort.SIGN else ""

    def _take(self) -> Token:
        token = self._token
        self._next += 1
        return token

    def _unexpected(self, expected: str) -> ExpressionError:
        token = self._token
        if token.sort is Sort.END:
            return self._error(f"expected {expected}, not the end")
        found = self._text[token.at : self._tokens[self._next + 1].at].strip()
        return self._error(f"expected {expected}, not `{found[:40]}`")

    def _error(self, message: str, hint: str = "") -> ExpressionError:
        return ExpressionError(f"`{self._option}`: {message}", text=self._text, at=self._token.at, hint=hint)
