"""What is found: spreads of times, the ratio of our median to a peer's, and the limit that was set. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
    """One call of a program, from its start to its end."""

    wall_s: float
    cpu_s: float
    """Processor time of the program and of all processes that it started and waited for: the client's side."""
    all_cpu_s: float | None = None
    """The same with all that it left behind and all that the nodes did; None where nothing counts that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `value` is what `limit`, an upper bound, is for; None: reported only."""

    name: str
    value: float
    unit: str
    peer: str = ""
    """The program that ours is compared with; empty: a measurement of ours alone."""
    limit: float | None = None
    ours_s: Spread | None = None
    theirs_s: Spread | None = None
    ratios: Spread | None = None
    """Of the single pairs: how much the ratio varies."""
    pairs: int = 0
    cpu_ratio: float | None = None
    """Of the medians of processor time on the client's side: what noise on the machine disturbs least."""
    all_cpu_ratio: float | None = None
    """The same with the nodes' side."""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or self.value <= self.limit

    def line(self) -> str:
        """For who watches: what was found, and whether that is enough."""
        against = f" against {self.peer}" if self.peer else ""
        limit = "" if self.limit is None else f", at most {self.limit:g}" + ("" if self.holds else ": NO")
        return f"  {self.name}{against}: {_value(self)}{limit}\n"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"holds": self.holds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A peer that a question was not asked of, or, without a peer, a question that could not be answered."""

    name: str
    peer: str = ""
    reason: str

    def line(self) -> str:
        """For who watches."""
        return f"  {self.name}{' against ' * bool(self.peer)}{self.peer}: not answered: {self.reason}\n"


def ratio_figure(
    name: str, peer: str, pairs: Sequence[tuple[Run, Run]], *, limit: float | None = None, note: str = ""
) -> Figure:
    """The ratio of the medians of two interleaved series, ours first in each pair."""
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return replace(
        seconds_figure(name, peer, [(a.wall_s, b.wall_s) for a, b in pairs], limit=limit),
        cpu_ratio=_ratio_of_medians([run.cpu_s for run in ours], [run.cpu_s for run in theirs]),
        all_cpu_ratio=_ratio_of_medians([run.all_cpu_s for run in ours], [run.all_cpu_s for run in theirs]),
        note=note,
    )


def seconds_figure(name: str, peer: str, pairs: Sequence[tuple[float, float]], *, limit: float | None = None) -> Figure:
    """The same of seconds, of whatever these are."""
    our_s, their_s = Spread.of([one for one, _ in pairs]), Spread.of([other for _, other in pairs])
    return Figure(
        name=name,
        peer=peer,
        value=our_s.median / their_s.median,
        unit="ratio",
        limit=limit,
        ours_s=our_s,
        theirs_s=their_s,
        ratios=Spread.of([one / other for one, other in pairs]),
        pairs=len(pairs),
    )


def _ratio_of_medians(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """None if something was not measured, or took no time that could be: a bound that is calculated takes none."""
    known = [[value for value in series if value is not None] for series in (ours, theirs)]
    if len(known[0]) < len(ours) or len(known[1]) < len(theirs) or not statistics.median(known[1]):
        return None
    return statistics.median(known[0]) / statistics.median(known[1])


HEADS = (
    "question",
    "against",
    "ratio",
    "of pairs",
    "limit",
    "holds",
    "clbalance, s",
    "peer, s",
    "cpu",
    "cpu with nodes",
    "note",
)


def cells(figure: Figure) -> tuple[str, ...]:
    """What stands under each of `HEADS`."""
    return (
        figure.name,
        figure.peer,
        _value(figure),
        "" if figure.ratios is None else f"{figure.ratios.median:.3g} [{figure.ratios.q1:.3g} {figure.ratios.q3:.3g}]",
        "" if figure.limit is None else f"{figure.limit:g}",
        "" if figure.limit is None else ("yes" if figure.holds else "NO"),
        str(figure.ours_s or ""),
        str(figure.theirs_s or ""),
        "" if figure.cpu_ratio is None else _short(figure.cpu_ratio),
        "" if figure.all_cpu_ratio is None else _short(figure.all_cpu_ratio),
        figure.note,
    )


def _value(figure: Figure) -> str:
    return _short(figure.value) + ("" if figure.unit == "ratio" else f" {figure.unit}")


def _short(value: float) -> str:
    """At least two decimals, and more where they would show nothing."""
    return f"{value:.2f}" if value >= 0.1 or not value else f"{value:.2g}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as people read them."""
    rows = [HEADS, *(cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
