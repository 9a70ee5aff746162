"""A row of `top` of any view: its cells for people, and the values behind them, by which rows are sorted."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Unknown
from clbalance.natural_order import natural_order
from clbalance.policy.top.state import Order
from clbalance.render.table import Cell, Column, Tone
from clbalance.render.text import DASH, Json, iec


@dataclass(frozen=True, slots=True, kw_only=True)
class TopColumn:
    """A column: its heading, and the key of its values in JSON; empty: they are not in it."""

    column: Column
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value with its cell. `value` None: not known, or there is none."""

    cell: Cell
    value: float | str | None

    @classmethod
    def of(cls, text: str, tone: Tone = Tone.PLAIN) -> "Value":
        """A text; empty: there is none."""
        return cls(cell=Cell(text or DASH, tone if text else Tone.QUIET), value=text or None)

    @classmethod
    def number(
        cls, value: float | Unknown | None, form: Callable[[float], str] = "{:g}".format, tone: Tone = Tone.PLAIN
    ) -> "Value":
        """A number, or `-` where it is unknown."""
        if value is None or isinstance(value, Unknown) or math.isnan(value):
            return cls(cell=Cell(DASH, Tone.QUIET), value=None)
        return cls(cell=Cell(form(value), tone), value=value)

    @classmethod
    def bytes(cls, value: float | Unknown | None) -> "Value":
        """A size; none is a dash."""
        return cls.number(value or None if not isinstance(value, Unknown) else value, iec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row. `key` is its own among the rows of all views; `nodes`: those that it is about."""

    key: str
    values: tuple[Value, ...]
    nodes: tuple[NodeName, ...] = ()
    reason: str | None = None
    """Of a job, for JSON: on the screen it stands in a cell with other text."""

    def has(self, text: str) -> bool:
        """Whether a cell has this text, in capitals or not."""
        return any(text in value.cell.text.casefold() for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The rows of a view, in their first order."""

    columns: tuple[TopColumn, ...]
    items: tuple[Item, ...]

    def with_text(self, text: str) -> "Items":
        """Those that have this text."""
        folded = text.casefold()
        return replace(self, items=tuple(item for item in self.items if item.has(folded))) if text else self

    def sorted(self, order: Order) -> "Items":
        """By a column. Equal ones stay in their first order, and those without a value come last."""
        at = order.column
        if at is None or not 0 <= at < len(self.columns):
            return replace(self, items=self.items[::-1]) if order.is_falling else self
        known = [item for item in self.items if item.values[at].value is not None]
        unknown = [item for item in self.items if item.values[at].value is None]
        known.sort(key=lambda item: _sort_key(item.values[at].value), reverse=order.is_falling)
        return replace(self, items=(*known, *unknown))

    def documents(self) -> list[dict[str, Json]]:
        """The values of each row by the keys of its columns, and its reason."""
        return [{**_document(self.columns, item), "reason": item.reason} for item in self.items]


def _sort_key(value: float | str | None) -> tuple[float, list[str]]:
    return (0.0, natural_order(value)) if isinstance(value, str) else (value or 0.0, [])


def _document(columns: Sequence[TopColumn], item: Item) -> dict[str, Json]:
    found: Iterable[tuple[str, float | str | None]] = (
        (one.key, value.value) for one, value in zip(columns, item.values, strict=True) if one.key
    )
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in found}
