"""`--order`: what nodes are ranked by, the smallest first, as LSF's order strings have it."""

from collections.abc import Sequence
from functools import lru_cache

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.policy.expressions.meaning import Meaning
from clbalance.policy.expressions.parse import parse_keys
from clbalance.policy.expressions.tree import Kind, text_of
from clbalance.policy.expressions.values import Absent, Figure, Read, Subject, told_figure

OPTION = "--order"
_UNITS = {Kind.SIZE: "bytes", Kind.PERCENT: "%"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One of the expressions between colons."""

    text: str
    kind: Kind
    read: Read

    def told(self, value: Figure) -> str:
        """Such as `-mem` -14.2G."""
        match value:
            case Unknown(why=why) | Absent(why=why):
                return f"{self.text} unknown, counted as the last: {why}"
            case known:
                return f"{self.text} = {told_figure(known, _UNITS.get(self.kind, ''))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node stands by the keys: lists of these sort; `told` is what they were read as."""

    sort_by: tuple[tuple[int, float], ...]
    told: str


@lru_cache(maxsize=64)
def parse_order(text: str, labels: frozenset[str] | None = None) -> tuple[Key, ...]:
    """`ExpressionError` for what cannot be sorted by, or names what there is not."""
    meaning = Meaning(OPTION, text, labels)
    keys = []
    for tree in parse_keys(OPTION, text):
        kind, read = meaning.key(tree)
        keys.append(Key(text=text_of(tree), kind=kind, read=read))
    return tuple(keys)


def place_by(keys: Sequence[Key], subjects: Sequence[Subject], devices: int) -> Place:
    """Of a node with these devices, of which so many are wanted: by the worst of the best that it has to offer.

    What is not known stands behind all that is.
    """
    values = [sorted((key.read(subject) for subject in subjects), key=_rank) for key in keys]
    chosen = [of_key[min(max(1, devices), len(of_key)) - 1] for of_key in values]
    return Place(
        sort_by=tuple(map(_rank, chosen)),
        told=", ".join(key.told(value) for key, value in zip(keys, chosen, strict=True)),
    )


def _rank(value: Figure) -> tuple[int, float]:
    # Twelve digits: a difference that is only rounding is none.
    return (1, 0.0) if isinstance(value, Unknown | Absent) else (0, float(f"{value:.12g}"))
