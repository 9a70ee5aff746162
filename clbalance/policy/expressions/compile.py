"""Compiler: from a checked tree to a function of a subject. Unknown names and wrong operands are `ExpressionError`s.

Truth has three values (Kleene's strong logic). `not` of unknown is unknown. An `and` with a false part is false, and an
`or` with a true part is true, even if other parts are unknown.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn, assert_never

from clbalance.errors import ExpressionError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.near_words import did_you_mean
from clbalance.policy.expressions.facts import FACTS, Fact, label
from clbalance.policy.expressions.tokens import FIGURES, arithmetic, constant, negated, share
from clbalance.policy.expressions.tree import (
    Arithmetic,
    ComparisonTree,
    Junction,
    Literal,
    Name,
    Negative,
    Not,
    Tree,
    ValueType,
    start_of,
    text_of,
)
from clbalance.policy.expressions.values import (
    Holds,
    Read,
    ReadWords,
    Subject,
    Truth,
    compared_figures,
    compared_texts,
    compared_versions,
    matched,
    version_of,
)

_WORDS = frozenset({ValueType.TEXT, ValueType.LABEL})
_PARTS = " and ".join(", ".join(f"`{name}`" for name, fact in FACTS.items() if fact.whole).rsplit(", ", 1))
"""Names that can be compared with a percentage, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One side of a comparison: `figure` for a number, else `words`; `literal`: the typed text, if it is a literal."""

    tree: Tree
    kind: ValueType
    figure: Read | None = None
    words: ReadWords | None = None
    whole: Read | None = None
    literal: str | None = None


class Meaning:
    """Compiles the trees of one text. `labels`: existing labels; None: any name that is not a fact may be a label.

    `facts`: the names that may be used, and how each is read.
    """

    def __init__(
        self, option: str, text: str, labels: frozenset[str] | None, facts: Mapping[str, Fact] = FACTS
    ) -> None:
        self._facts = facts
        self._option = option
        self._text = text
        self._labels = labels
        self._names: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the trees use, each once, in the order of first use."""
        return tuple(self._names)

    def condition(self, tree: Tree) -> Holds:
        """The tree as a condition; `ExpressionError` if it is not true or false."""
        match tree:
            case Junction(operator=word, parts=parts):
                return _junction(word, [self.condition(part) for part in parts])
            case Not(operand=operand):
                return _not(self.condition(operand))
            case ComparisonTree():
                return self._comparison(tree)
            case _:
                kind = self._operand(tree).kind
                hint = "compare it, as in " + ("`rack = r1`" if kind in _WORDS else "`r1m < 1`")
                return self._fail(start_of(tree), f"`{text_of(tree)}` is {kind.value}, and not true or false", hint)

    def key(self, tree: Tree) -> tuple[ValueType, Read]:
        """The tree as a sort key; `ExpressionError` if it is not a number."""
        found = self._operand(tree)
        if found.figure is None:
            self._fail(
                start_of(tree), f"`{text_of(tree)}` is {found.kind.value}", "an order is by numbers, as `-mem:ut`"
            )
        return found.kind, found.figure

    # -- operands --------------------------------------------------------------------------------

    def _operand(self, tree: Tree) -> Operand:
        match tree:
            case Literal():
                return self._literal(tree)
            case Name(name=name):
                return self._name(tree, self._facts.get(name))
            case Negative(operand=inner):
                operand = self._figure(inner)
                return Operand(tree=tree, kind=operand[0], figure=negated(operand[1]))
            case Arithmetic(operator=sign, left=left, right=right):
                return self._arithmetic(tree, sign, self._figure(left), self._figure(right))
            case ComparisonTree() | Not() | Junction():
                return self._fail(
                    start_of(tree), f"`{text_of(tree)}` is a comparison, not a value", "a value is expected here"
                )
            case _:
                assert_never(tree)

    def _literal(self, tree: Literal) -> Operand:
        if tree.kind in FIGURES:
            return Operand(tree=tree, kind=tree.kind, figure=constant(tree.kind, tree.text), literal=tree.text)
        return Operand(tree=tree, kind=tree.kind, words=lambda _: tree.text, literal=tree.text)

    def _name(self, tree: Name, fact: Fact | None) -> Operand:
        self._names[tree.name] = None
        if fact is not None:
            return Operand(tree=tree, kind=fact.kind, figure=fact.figure, words=fact.words, whole=fact.whole)
        if self._labels is None or tree.name in self._labels:
            return Operand(tree=tree, kind=ValueType.LABEL, words=label(tree.name))
        known = [*self._facts, *sorted(self._labels)]
        hint = did_you_mean(tree.name.lower(), known, "known names: " + " ".join(known))
        return self._fail(tree.at, f"unknown name `{tree.name}`", hint)

    def _figure(self, tree: Tree) -> tuple[ValueType, Read]:
        operand = self._operand(tree)
        if operand.figure is None:
            self._fail(start_of(tree), f"`{text_of(tree)}` is {operand.kind.value}", "calculate with numbers only")
        return operand.kind, operand.figure

    def _arithmetic(
        self, tree: Tree, sign: str, left: tuple[ValueType, Read], right: tuple[ValueType, Read]
    ) -> Operand:
        made = arithmetic(sign, left, right)
        if made is None:
            message = f"`{sign}` cannot combine {left[0].value} and {right[0].value}"
            self._fail(tree.at, message, "such as `mem / 2`, `mem - 4G`, `r1m / cpus`")
        return Operand(tree=tree, kind=made[0], figure=made[1])

    # -- comparisons -----------------------------------------------------------------------------

    def _comparison(self, tree: ComparisonTree) -> Holds:
        left = self._operand(tree.left)
        if left.literal is not None and left.kind is ValueType.TEXT:
            self._fail(
                start_of(tree.left), "the text must be on the right", f"`NAME {tree.operator} {text_of(tree.left)}`"
            )
        # The left side is a text, so a word on the right that is not a fact is a text too.
        is_word = isinstance(tree.right, Name) and tree.right.name not in self._facts
        if is_word and left.figure is None and isinstance(tree.right, Name):
            right = self._literal(Literal(kind=ValueType.TEXT, text=tree.right.name, at=tree.right.at))
        else:
            right = self._operand(tree.right)
        if tree.operator in {"~", "!~"}:
            return self._matched(tree, left, right)
        return self._in_words(tree, left, right) or self._in_figures(tree, left, right)

    def _matched(self, tree: ComparisonTree, left: Operand, right: Operand) -> Holds:
        if left.words is None:
            self._fail(
                start_of(tree.left),
                f"`{text_of(tree.left)}` is {left.kind.value}",
                "`~` searches text",
            )
        if right.literal is None or right.words is None:
            hint = f'`{text_of(tree.left)} {tree.operator} "A100|H100"`'
            self._fail(start_of(tree.right), "a pattern is expected here, in quotes", hint)
        from clbalance.policy.expressions.pattern import PatternError, search_for

        try:
            return matched(tree.operator, left.words, search_for(right.literal))
        except PatternError as error:
            in_quotes = self._text[right.tree.at] in "\"'"
            self._fail(right.tree.at + in_quotes + error.at, f"the pattern: {error.message}")

    def _in_words(self, tree: ComparisonTree, left: Operand, right: Operand) -> Holds | None:
        """The comparison of two texts or versions; None if both sides are numbers."""
        sides = (left, right)
        if all(side.figure is not None for side in sides):
            return None
        if any(side.kind is ValueType.VERSION or side.figure is not None for side in sides):
            one, other = (self._version(side, beside=tree) for side in sides)
            return compared_versions(tree.operator, one, other)
        assert left.words is not None
        assert right.words is not None
        if tree.operator not in {"=", "!="}:
            self._fail(tree.at, f"`{tree.operator}` cannot compare text", "`=`, `!=`, `~` and `!~` do")
        return compared_texts(tree.operator, left.words, right.words)

    def _version(self, side: Operand, *, beside: ComparisonTree) -> ReadWords:
        """The side as a version: a label, a version fact, or a literal that begins with a version."""
        if side.literal is not None and version_of(side.literal) is not None and side.kind in _NOTED_VERSIONS:
            text = side.literal
            return lambda _: text
        if side.words is not None and side.literal is None and side.kind is not ValueType.TEXT:
            return side.words
        message = f"`{text_of(beside.left)}` and `{text_of(beside.right)}` cannot be compared"
        is_left = start_of(side.tree) == start_of(beside.left)
        message += f": the {'left' if is_left else 'right'} one is {side.kind.value}"
        return self._fail(start_of(side.tree), message, '`cpu_model = m`, `node ~ "^gpu"`, `cuda >= 12.2`, `r1m < 1`')

    def _in_figures(self, tree: ComparisonTree, left: Operand, right: Operand) -> Holds:
        assert left.figure is not None
        assert right.figure is not None
        kinds = {left.kind, right.kind}
        if kinds == {ValueType.SIZE, ValueType.PERCENT}:
            return compared_figures(tree.operator, self._share(left), self._share(right))
        numbers = [side for side in (left, right) if side.kind is ValueType.NUMBER]
        if kinds == {ValueType.SIZE, ValueType.NUMBER} and numbers[0].literal is None:
            self._no_size(tree, numbers[0])
        if kinds == {ValueType.SIZE, ValueType.NUMBER} and numbers[0].literal != "0":
            message = f"`{text_of(tree.left)}` and `{text_of(tree.right)}` cannot be compared: a size has a unit"
            self._fail(start_of(numbers[0].tree), message, "`20G`, `512M`; or a percentage, `10%`")
        return compared_figures(tree.operator, left.figure, right.figure)

    def _no_size(self, tree: ComparisonTree, number: Operand) -> NoReturn:
        message = f"`{text_of(tree.left)}` and `{text_of(tree.right)}` cannot be compared"
        fact = self._facts.get(number.tree.name) if isinstance(number.tree, Name) else None
        unit = f"in {fact.unit}, " if fact and fact.unit else ""
        self._fail(
            start_of(number.tree),
            f"{message}: `{text_of(number.tree)}` is a number, and not a size",
            f"give a number, {unit}such as `1000`",
        )

    def _share(self, side: Operand) -> Read:
        assert side.figure is not None
        if side.kind is ValueType.PERCENT:
            return side.figure
        if side.whole is None:
            message = f"`{text_of(side.tree)}` cannot be given in per cent"
            self._fail(start_of(side.tree), message, f"{_PARTS} can; or give a size, `20G`")
        return share(side.figure, side.whole)

    def _fail(self, at: int, message: str, hint: str = "") -> NoReturn:
        raise ExpressionError(f"`{self._option}`: {message}", text=self._text, at=at, hint=hint)


_NOTED_VERSIONS = frozenset({ValueType.NUMBER, ValueType.VERSION, ValueType.TEXT})


def _not(holds: Holds) -> Holds:
    def opposite(subject: Subject) -> Truth:
        found = holds(subject)
        return found if isinstance(found, Unknown) else not found

    return opposite


def _junction(word: str, parts: Sequence[Holds]) -> Holds:
    decides = word == "or"

    def joined(subject: Subject) -> Truth:
        unknown: Unknown | None = None
        for part in parts:
            found = part(subject)
            if isinstance(found, Unknown):
                unknown = unknown or found
            elif found is decides:
                return decides
        return (not decides) if unknown is None else unknown

    return joined
