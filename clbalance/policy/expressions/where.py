"""`--where`: which nodes and GPUs match; `--order`: sort keys of nodes.

A condition that uses a GPU fact is checked with each GPU of a node. The node matches if the condition is true with one
of them, and only the GPUs with which it is true can be used. A node without GPUs is checked by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, Unknown
from clbalance.model.plugins import ExternalIndex
from clbalance.policy.expressions.compile import Meaning
from clbalance.policy.expressions.facts import Fact, facts_with, label
from clbalance.policy.expressions.parse import parse_condition, parse_keys
from clbalance.policy.expressions.tree import Junction, Tree, ValueType, text_of
from clbalance.policy.expressions.values import Absent, Aggregate, Holds, Read, Subject, Truth, devices_of, format_value

# -- `--order`: sort keys, smallest first, as in LSF's order strings

_ORDER_OPTION = "--order"
_UNITS = {ValueType.SIZE: "bytes", ValueType.PERCENT: "%"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One of the expressions separated by colons."""

    text: str
    kind: ValueType
    read: Read

    def message(self, value: Aggregate) -> str:
        """The key and its value, such as "`-mem` -14.2G"."""
        match value:
            case Unknown(reason=reason) | Absent(reason=reason):
                return f"{self.text} unknown, counted as the last: {reason}"
            case known:
                return f"{self.text} = {format_value(known, _UNITS.get(self.kind, ''))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SortPlace:
    """A node's sort position by the keys; `message` shows the values."""

    sort_by: tuple[tuple[int, float], ...]
    message: str


@lru_cache(maxsize=64)
def parse_order(
    text: str, labels: frozenset[str] | None = None, external: tuple[ExternalIndex, ...] = ()
) -> tuple[Key, ...]:
    """The sort keys of `text`; `ExpressionError` if it cannot be sorted by, or uses an unknown name."""
    meaning = Meaning(_ORDER_OPTION, text, labels, facts_with(external))
    keys = []
    for tree in parse_keys(_ORDER_OPTION, text):
        kind, read = meaning.key(tree)
        keys.append(Key(text=text_of(tree), kind=kind, read=read))
    return tuple(keys)


def place_by(keys: Sequence[Key], subjects: Sequence[Subject], devices: int) -> SortPlace:
    """The sort position of a node by its `subjects`, of which `devices` are needed: by the worst of its best ones.

    Unknown values sort last.
    """
    values = [sorted((key.read(subject) for subject in subjects), key=_rank) for key in keys]
    chosen = [of_key[min(max(1, devices), len(of_key)) - 1] for of_key in values]
    return SortPlace(
        sort_by=tuple(map(_rank, chosen)),
        message=", ".join(key.message(value) for key, value in zip(keys, chosen, strict=True)),
    )


def _rank(value: Aggregate) -> tuple[int, float]:
    # Twelve digits, so that rounding makes no difference.
    return (1, 0.0) if isinstance(value, Unknown | Absent) else (0, float(f"{value:.12g}"))


_WHERE_OPTION = "--where"
_MOST_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionPart:
    """One of the conditions that the top-level `and` joins."""

    text: str
    names: tuple[str, ...]
    holds: Holds
    facts: Mapping[str, Fact]
    """The names that are no labels."""

    @property
    def of_device(self) -> bool:
        return any(name in self.facts and self.facts[name].of_device for name in self.names)

    def read(self, name: str, subject: Subject) -> object:
        """The value of one of its names."""
        fact = self.facts.get(name)
        read: Callable[[Subject], object] | None = label(name) if fact is None else fact.figure or fact.words
        assert read is not None
        return read(subject)

    def text_of_value(self, name: str, value: object) -> str:
        """The value in words."""
        match value:
            case Unknown(reason=reason):
                return f"unknown ({reason})"
            case int() | float():
                return format_value(value, _UNITS.get(self.facts[name].kind, ""))
            case _:
                return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """Why a node does not match; `reason` is the same for all nodes that fail at the same condition."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A compiled condition."""

    text: str
    of_node: tuple[ConditionPart, ...]
    of_device: tuple[ConditionPart, ...]

    def unmet(self, answer: Measured) -> Unmet | None:
        """Why this node does not match; None: it matches."""
        node = (Subject(answer),)
        unknown: Unmet | None = None
        for part in self.of_node:
            truth = part.holds(node[0])
            if truth is False:
                return _is_false([part], node)
            if isinstance(truth, Unknown):
                unknown = unknown or _is_unknown([part], node)
        if not self.of_device:
            return unknown
        devices = devices_of(answer)
        truths = [_all_of(self.of_device, device) for device in devices]
        if not any(truths):  # unknown is not False
            alone = [part for part in self.of_device if all(part.holds(device) is False for device in devices)]
            return _is_false(alone[:1] or self.of_device, devices)
        return unknown or (None if True in truths else _is_unknown(self.of_device, devices))

    def admits(self, answer: Measured, gpu: Gpu) -> bool:
        """Whether this GPU of a matching node can be used."""
        return _all_of(self.of_device, Subject(answer, gpu)) is True


@lru_cache(maxsize=64)
def parse_where(text: str, labels: frozenset[str] | None = None, external: tuple[ExternalIndex, ...] = ()) -> Where:
    """The condition of `text`; `ExpressionError` if it is not a condition, or uses an unknown name."""
    tree = parse_condition(_WHERE_OPTION, text)
    trees: tuple[Tree, ...] = tree.parts if isinstance(tree, Junction) and tree.operator == "and" else (tree,)
    facts = facts_with(external)
    parts = [_part(one, Meaning(_WHERE_OPTION, text, labels, facts), facts) for one in trees]
    return Where(
        text=text_of(tree),
        of_node=tuple(part for part in parts if not part.of_device),
        of_device=tuple(part for part in parts if part.of_device),
    )


def _part(tree: Tree, meaning: Meaning, facts: Mapping[str, Fact]) -> ConditionPart:
    holds = meaning.condition(tree)
    return ConditionPart(text=_shortened(text_of(tree)), names=meaning.names, holds=holds, facts=facts)


def _all_of(parts: tuple[ConditionPart, ...], subject: Subject) -> Truth:
    truths = [part.holds(subject) for part in parts]
    if any(truth is False for truth in truths):
        return False
    return next((truth for truth in truths if isinstance(truth, Unknown)), True)


def _is_false(parts: Sequence[ConditionPart], subjects: Sequence[Subject]) -> Unmet:
    text = " and ".join(part.text for part in parts)
    names = {name: part for part in parts for name in part.names}
    detail = ", ".join(_text(part, name, subjects) for name, part in names.items())
    return Unmet(reason=f"not meeting --where {text}", detail=detail)


def _is_unknown(parts: Sequence[ConditionPart], subjects: Sequence[Subject]) -> Unmet:
    names = {name: part for part in parts for name in part.names}
    for name, part in names.items():
        for subject in subjects:
            if isinstance(value := part.read(name, subject), Unknown):
                return Unmet(reason=f"{name} unknown", detail=value.reason)
    whole = " and ".join(part.text for part in parts)
    reason = next(
        truth.reason for subject in subjects for part in parts if isinstance(truth := part.holds(subject), Unknown)
    )
    return Unmet(reason=f"--where {whole} unknown", detail=reason)


def _text(part: ConditionPart, name: str, subjects: Sequence[Subject]) -> str:
    """Such as "gpu_model is V100, A30"; each value once."""
    values = [part.read(name, subject) for subject in subjects]
    if isinstance(values[0], Absent):
        return values[0].reason
    return f"{name} is {', '.join(dict.fromkeys(part.text_of_value(name, value) for value in values))}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 1]}…"
