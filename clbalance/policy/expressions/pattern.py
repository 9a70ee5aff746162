"""Whether a pattern is found in a subject, in time that grows with the product of their lengths whatever they are.

Thompson's construction (Regular Expression Search Algorithm, CACM 1968): all ways to match are followed at once, so
there is nothing to go back to. `re` tries one way after another, and `(a+)+b` takes it ages on forty a's.
"""

from functools import lru_cache
from typing import TypeAlias, TypeGuard, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.expressions.pattern_parse import (
    Alternatives,
    Characters,
    Edge,
    Pattern,
    PatternError,
    Repeated,
    Sequence,
    parse_pattern,
)

MOST_STEPS = 1000
MOST_SUBJECT = 512
"""Characters of a subject that are looked at; a node's texts are cut shorter than that when they are read."""
_MOST_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class _Fork:
    """Goes on at each of these."""

    to: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """Takes one character."""

    characters: Characters
    to: int


@dataclass(frozen=True, slots=True)
class _Stand:
    """Goes on only at an edge of the subject."""

    at_end: bool
    to: int


_Step: TypeAlias = _Fork | _Read | _Stand
_FOUND = -1


class Matcher:
    """A pattern made ready; `found_in` gives the same answer for the same subject, and remembers its way there."""

    def __init__(self, text: str) -> None:
        """Raises `PatternError` for what is no pattern, or one that is too large."""
        tree, self._case_counts = parse_pattern(text)
        self._steps: list[_Step] = []
        self._first = self._built(tree, _FOUND)
        self._moves: dict[tuple[frozenset[int], str, bool], frozenset[int]] = {}

    def found_in(self, subject: str) -> bool:
        """Whether it matches somewhere in `subject`."""
        subject = subject[:MOST_SUBJECT]
        states = self._closed({self._first}, at_begin=True, at_end=not subject)
        for at, character in enumerate(subject, start=1):
            if _FOUND in states:
                return True
            states = self._moved(states, character, at_end=at == len(subject))
        return _FOUND in states

    def _moved(self, states: frozenset[int], character: str, *, at_end: bool) -> frozenset[int]:
        key = (states, character, at_end)
        known = self._moves.get(key)
        if known is None:
            to = {step.to for step in map(self._steps.__getitem__, states) if self._reads(step, character)}
            known = self._closed(to | {self._first}, at_begin=False, at_end=at_end)
            if len(self._moves) < _MOST_REMEMBERED:
                self._moves[key] = known
        return known

    def _reads(self, step: _Step, character: str) -> TypeGuard[_Read]:
        if not isinstance(step, _Read):
            return False
        if self._case_counts:
            return character in step.characters
        ways = (character.lower() in step.characters, character.upper() in step.characters)
        return all(ways) if step.characters.negated else any(ways)

    def _closed(self, states: set[int], *, at_begin: bool, at_end: bool) -> frozenset[int]:
        """What is reached from `states` without reading on."""
        reached, left = set(states), list(states)
        while left:
            state = left.pop()
            match _FOUND if state == _FOUND else self._steps[state]:
                case _Fork(to):
                    more: tuple[int, ...] = to
                case _Stand(of_end, after):
                    more = (after,) if (at_end if of_end else at_begin) else ()
                case _:
                    more = ()
            left += [one for one in more if one not in reached]
            reached.update(more)
        return frozenset(reached)

    def _built(self, tree: Pattern, to: int) -> int:
        """Where `tree` begins that goes on at `to`."""
        match tree:
            case Characters():
                return self._added(_Read(tree, to))
            case Edge(of_end=of_end):
                return self._added(_Stand(of_end, to))
            case Sequence(parts=parts):
                for part in reversed(parts):
                    to = self._built(part, to)
                return to
            case Alternatives(parts=parts):
                return self._added(_Fork(tuple(self._built(part, to) for part in parts)))
            case Repeated():
                return self._repeated(tree, to)
            case _:
                assert_never(tree)

    def _repeated(self, tree: Repeated, to: int) -> int:
        if tree.most is None:
            again = self._added(_Fork(()))
            self._steps[again] = _Fork((self._built(tree.part, again), to))
            to = again
        for _ in range((tree.most or tree.least) - tree.least):
            to = self._added(_Fork((self._built(tree.part, to), to)))
        for _ in range(tree.least):
            to = self._built(tree.part, to)
        return to

    def _added(self, step: _Step) -> int:
        if len(self._steps) >= MOST_STEPS:
            raise PatternError(f"it takes more than {MOST_STEPS} steps", 0)
        self._steps.append(step)
        return len(self._steps) - 1


@lru_cache(maxsize=64)
def matcher_of(pattern: str) -> Matcher:
    """The same one for the same pattern."""
    return Matcher(pattern)
