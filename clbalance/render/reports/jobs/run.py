"""How each copy of a job ended; for `run`, `attach`, `wait` and `requeue`."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import Outcome
from clbalance.render.ends import describe_outcome, describe_outcomes
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

    def human(self, display: Display) -> str:
        rows = tuple(_row(outcome) for outcome in self.outcomes)
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
    end = describe_outcome(outcome.end)
    return (
        Cell(outcome.node),
        Cell(end.state, Tone.GOOD if end.state == "COMPLETED" else Tone.BAD),
        Cell(DASH if end.rc is None else str(end.rc)),
        Cell(duration(outcome.seconds)),
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
