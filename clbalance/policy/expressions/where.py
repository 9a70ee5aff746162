"""`--where`: whether a node is meant, and which of its devices are.

A condition that names a fact of devices is about one device: it holds of a node if it holds of the node together with
one of its devices, and those of which it holds are the devices that count. A node without devices stands for itself.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.expressions.facts import FACTS, label
from clbalance.policy.expressions.meaning import Meaning
from clbalance.policy.expressions.parse import parse_condition
from clbalance.policy.expressions.tree import Junction, Kind, Tree, text_of
from clbalance.policy.expressions.values import Absent, Holds, Subject, Truth, devices_of, told_figure

OPTION = "--where"
_MOST_TOLD = 100
_UNITS = {Kind.SIZE: "bytes", Kind.PERCENT: "%"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the conditions that `and` joins at the top."""

    text: str
    names: tuple[str, ...]
    holds: Holds

    @property
    def of_device(self) -> bool:
        return any(name in FACTS and FACTS[name].of_device for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """Why a node is not meant: `reason` is the same on every node that fails likewise."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A condition made ready."""

    text: str
    of_node: tuple[Part, ...]
    of_device: tuple[Part, ...]

    def unmet(self, answer: Measured) -> Unmet | None:
        """Why not this node; None: it is meant."""
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
        if not any(truths):  # an unknown one is no False
            alone = [part for part in self.of_device if all(part.holds(device) is False for device in devices)]
            return _is_false(alone[:1] or self.of_device, devices)
        return unknown or (None if True in truths else _is_unknown(self.of_device, devices))

    def admits(self, answer: Measured, gpu: Gpu) -> bool:
        """Whether this device of a node that is meant counts."""
        return _all_of(self.of_device, Subject(answer, gpu)) is True


@lru_cache(maxsize=64)
def parse_where(text: str, labels: frozenset[str] | None = None) -> Where:
    """`ExpressionError` for what is no condition, or names what there is not."""
    tree = parse_condition(OPTION, text)
    trees: tuple[Tree, ...] = tree.parts if isinstance(tree, Junction) and tree.operator == "and" else (tree,)
    parts = [_part(one, Meaning(OPTION, text, labels)) for one in trees]
    return Where(
        text=text_of(tree),
        of_node=tuple(part for part in parts if not part.of_device),
        of_device=tuple(part for part in parts if part.of_device),
    )


def _part(tree: Tree, meaning: Meaning) -> Part:
    holds = meaning.condition(tree)
    return Part(text=_shortened(text_of(tree)), names=meaning.names, holds=holds)


def _all_of(parts: tuple[Part, ...], subject: Subject) -> Truth:
    truths = [part.holds(subject) for part in parts]
    if any(truth is False for truth in truths):
        return False
    return next((truth for truth in truths if isinstance(truth, Unknown)), True)


def _is_false(parts: Sequence[Part], subjects: Sequence[Subject]) -> Unmet:
    text = " and ".join(part.text for part in parts)
    names = dict.fromkeys(name for part in parts for name in part.names)
    return Unmet(reason=f"where {text} is false", detail=", ".join(_told(name, subjects) for name in names))


def _is_unknown(parts: Sequence[Part], subjects: Sequence[Subject]) -> Unmet:
    names = dict.fromkeys(name for part in parts for name in part.names)
    for name in names:
        for subject in subjects:
            if isinstance(value := _read(name, subject), Unknown):
                return Unmet(reason=f"{name} unknown", detail=value.why)
    whole = " and ".join(part.text for part in parts)
    why = next(truth.why for subject in subjects for part in parts if isinstance(truth := part.holds(subject), Unknown))
    return Unmet(reason=f"where {whole} unknown", detail=why)


def _told(name: str, subjects: Sequence[Subject]) -> str:
    """Such as "gpu_model is V100, A30"; each value once."""
    values = [_read(name, subject) for subject in subjects]
    if isinstance(values[0], Absent):
        return values[0].why
    return f"{name} is {', '.join(dict.fromkeys(_in_words(name, value) for value in values))}"


def _read(name: str, subject: Subject) -> object:
    fact = FACTS.get(name)
    read: Callable[[Subject], object] | None = label(name) if fact is None else fact.figure or fact.words
    assert read is not None
    return read(subject)


def _in_words(name: str, value: object) -> str:
    match value:
        case Unknown(why=why):
            return f"unknown ({why})"
        case int() | float():
            return told_figure(value, _UNITS.get(FACTS[name].kind, ""))
        case _:
            return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 1]}…"
