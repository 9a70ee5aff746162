"""What a benchmark finds: spreads of times, the ratio of their medians, and the limit that was set. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    q1: float
    median: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """At least one value; of a single one all three are that value."""
        if len(values) == 1:
            return cls(q1=values[0], median=values[0], q3=values[0])
        q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
        return cls(q1=q1, median=median, q3=q3)

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.q1:.3f} {self.q3:.3f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process: how long it took, and the processor time of it and of the children that it waited for."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One line of the table. `value` is what `limit`, an upper bound, is for; None: reported only."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ours_s: Spread | None = None
    theirs_s: Spread | None = None
    ratios: Spread | None = None
    """Of the single pairs: how much the ratio varies."""
    cpu_ratio: float | None = None
    """Of the medians of processor time on the client's side: what noise on the machine disturbs least."""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or self.value <= self.limit

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"holds": self.holds}


def ratio_figure(
    name: str, ours: Sequence[Run], theirs: Sequence[Run], *, limit: float | None = None, note: str = ""
) -> Aggregate:
    """The ratio of the medians of two interleaved series."""
    our_s, their_s = Spread.of([run.wall_s for run in ours]), Spread.of([run.wall_s for run in theirs])
    our_cpu = statistics.median(run.cpu_s for run in ours)
    return Aggregate(
        name=name,
        value=our_s.median / their_s.median,
        unit="ratio",
        limit=limit,
        ours_s=our_s,
        theirs_s=their_s,
        ratios=Spread.of([a.wall_s / b.wall_s for a, b in zip(ours, theirs, strict=True)]),
        cpu_ratio=our_cpu / statistics.median(run.cpu_s for run in theirs),
        note=note,
    )


def table(figures: Sequence[Aggregate]) -> str:
    """The figures as people read them."""
    heads = ("figure", "value", "limit", "holds", "clbalance s", "clush s", "ratio of pairs", "cpu", "note")
    rows = [heads, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(figure: Aggregate) -> tuple[str, ...]:
    return (
        figure.name,
        f"{figure.value:.2f} {figure.unit}",
        "" if figure.limit is None else f"{figure.limit:g}",
        "" if figure.limit is None else ("yes" if figure.holds else "NO"),
        str(figure.ours_s or ""),
        str(figure.theirs_s or ""),
        str(figure.ratios or ""),
        "" if figure.cpu_ratio is None else f"{figure.cpu_ratio:.2f}",
        figure.note,
    )
