"""Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.render.untrusted import visible_line

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: what it is, and its samples, each by its labels."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Sequence[tuple[Labels, float]]


def exposition(families: Iterable[Family]) -> str:
    """Families without samples are left out, for so is all that is unknown."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    told: dict[Labels, float] = {}
    for labels, value in family.samples:
        if math.isfinite(value):
            told.setdefault(labels, value)  # the same twice, and Prometheus would refuse the whole file
    if told:
        yield f"# HELP {family.name} {_escaped(family.help)}\n"
        yield f"# TYPE {family.name} {family.kind}\n"
    for labels, value in told.items():
        named = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels)
        yield f"{family.name}{{{named}}} {_number(value)}\n" if named else f"{family.name} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    """What a node says of itself is in here: nothing in it may act on who looks at the file."""
    return visible_line(text).replace("\\", r"\\").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.12g}"
