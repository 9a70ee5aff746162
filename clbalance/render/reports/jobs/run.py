"""How each copy of a job ended; for `run`, `attach`, `wait` and `requeue`."""

from collections.abc import Iterable, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import Outcome
from clbalance.nodeset import fold
from clbalance.render.ends import OutcomeText, describe_outcome, describe_outcomes
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration, finite

RUN_FIELDS = ("node", "state", "rc", "seconds", "reason")
"""The fields in plain text, a line for each copy."""

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CODE", align="right"),
    Column(heading="TIME", align="right"),
    Column(heading="REASON"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport(Report):
    """One job after its end: `node_set` is folded, `outcomes` are in the order of the ranks."""

    id: int
    name: str
    node_set: str
    outcomes: tuple[Outcome, ...]
    attempt: int = 1
    is_folded: bool = False
    """For people: nodes that ended alike are one row."""

    def human(self, display: Display) -> str:
        rows = _folded_rows(self.outcomes) if self.is_folded else tuple(map(_row, self.outcomes))
        table = Table(columns=_COLUMNS, rows=rows)
        if not any(cells[-1].text for cells in rows):
            table = table.without(len(_COLUMNS) - 1)
        return display.table(table, last="fold")

    def plain(self) -> str:
        """The `RUN_FIELDS` of each copy."""
        ends = [(outcome, describe_outcome(outcome.end)) for outcome in self.outcomes]
        return plain_lines((outcome.node, end.state, end.rc, outcome.seconds, end.reason) for outcome, end in ends)

    def json(self) -> dict[str, Json]:
        end = describe_outcomes(self.outcomes)
        job: dict[str, Json] = {
            "id": self.id,
            "name": self.name,
            "state": end.state,
            "reason": end.reason,
            "node_set": self.node_set,
            "rc": end.rc,
            "attempt": self.attempt,
            "copies": [_copy(outcome) for outcome in self.outcomes],
        }
        return {"jobs": [job]}


def _row(outcome: Outcome) -> tuple[Cell, ...]:
    return _cells(outcome.node, describe_outcome(outcome.end), duration(outcome.seconds))


def _folded_rows(outcomes: Iterable[Outcome]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each kind of end, the most frequent first, with the shortest and the longest time."""
    alike: dict[OutcomeText, list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault(describe_outcome(outcome.end), []).append(outcome)
    groups = sorted(alike.items(), key=lambda group: -len(group[1]))
    return tuple(_cells(fold([one.node for one in some]), end, _times(some)) for end, some in groups)


def _times(outcomes: Sequence[Outcome]) -> str:
    seconds = [outcome.seconds for outcome in outcomes]
    shortest, longest = duration(min(seconds)), duration(max(seconds))
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _cells(nodes: str, end: OutcomeText, time: str) -> tuple[Cell, ...]:
    return (
        Cell(nodes),
        Cell(end.state, Tone.GOOD if end.state == "COMPLETED" else Tone.BAD),
        Cell(DASH if end.rc is None else str(end.rc)),
        Cell(time),
        Cell(end.reason or ""),
    )


def _copy(outcome: Outcome) -> Json:
    end = describe_outcome(outcome.end)
    return {
        "node": outcome.node,
        "rank": outcome.rank,
        "state": end.state,
        "reason": end.reason,
        "rc": end.rc,
        "signal": end.signal,
        "seconds": finite(outcome.seconds),
        "warnings": list(outcome.warnings),
    }
