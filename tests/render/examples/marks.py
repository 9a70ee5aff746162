"""Drain marks of nodes, each with another result."""

from clbalance.render.report import Report
from clbalance.render.reports.balance.marks import MarkRow, MarksReport
from tests.render.examples import Example, one_file

_ROWS = (
    MarkRow(name="node1", result="drained"),
    MarkRow(name="node2", result="draining"),
    MarkRow(name="node3", result="failed", reason="unreachable: No route to host"),
)
EXAMPLES = (Example("marks", (MarksReport(_ROWS),), one_file("marks-human.txt", "80", "140", "pipe")),)


def hostile(one: str, other: str) -> list[Report]:
    return [MarksReport((MarkRow(name=one, result="failed", reason=other),))]
