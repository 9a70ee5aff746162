"""JSON for programs: one value with its `schema` number, in ASCII, ended by a newline.

ASCII, so that nothing in it can act on a terminal and no locale can break it. Keys are only ever added
while `schema` stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clbalance.errors import ClbalanceError
from clbalance.job import Outcome, Placed
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan, Score, Unfit
from clbalance.nodes import fold
from clbalance.render.ends import told, told_together
from clbalance.render.json_value import Json, finite
from clbalance.render.node_document import node_document
from clbalance.render.views import JobReport, NodeRow, least_loaded_first

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport
    from clbalance.render.job_limits import JobLimits
    from clbalance.render.jobs import JobRow
    from clbalance.render.rebalance import Deed, RebalanceReport
    from clbalance.render.tasks import TaskRow

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class JsonRenderer:
    """`--format json`."""

    def load(self, rows: Sequence[NodeRow]) -> str:
        return _document({"nodes": [node_document(row) for row in least_loaded_first(rows)]})

    def pick(self, plan: Plan, folded: str) -> str:
        return _document(_plan(plan, folded))

    def explain(self, plan: Plan, folded: str) -> str:
        return ""

    def explain_job(self, placed: Sequence[Placed], limits: JobLimits) -> str:
        from clbalance.render.job_limits import limits_document

        attempts = [{"attempt": one.attempt, **_plan(one.plan, fold(one.plan.taken))} for one in placed]
        return _document({"attempts": attempts, **limits_document(limits)})

    def run(self, report: JobReport) -> str:
        job = told_together(report.outcomes)
        return _document(
            {
                "jobs": [
                    {
                        "id": report.id,
                        "name": report.name,
                        "state": job.state,
                        "reason": job.reason,
                        "node_set": report.node_set,
                        "rc": job.rc,
                        "attempt": report.attempt,
                        "copies": [_copy(outcome) for outcome in report.outcomes],
                    }
                ]
            }
        )

    def jobs(self, rows: Sequence[JobRow]) -> str:
        from clbalance.render.jobs import job_document

        return _document({"jobs": [job_document(row) for row in rows]})

    def tasks(self, rows: Sequence[TaskRow]) -> str:
        from clbalance.render.tasks import task_document

        return _document({"tasks": [task_document(row) for row in rows]})

    def history(self, report: HistoryReport) -> str:
        from clbalance.render.history import history_document

        return _document(history_document(report))

    def rebalance(self, report: RebalanceReport) -> str:
        from clbalance.render.rebalance import rebalance_document

        return _document(rebalance_document(report))

    def rebalance_deed(self, deed: Deed) -> str:
        return ""

    def rebalance_done(self, report: RebalanceReport) -> str:
        return self.rebalance(report)

    def error(self, error: ClbalanceError) -> str:
        return _document(
            {
                "error": {
                    "message": error.message,
                    "hint": error.hint or None,
                    "exit_code": int(error.exit_code),
                }
            }
        )


def _document(content: dict[str, Json]) -> str:
    return json.dumps({"schema": SCHEMA, **content}, ensure_ascii=True, allow_nan=False) + "\n"


def _plan(plan: Plan, folded: str) -> dict[str, Json]:
    scores = {score.node: score.total for score in plan.ranked}
    return {
        "node_set": folded,
        "wanted": plan.wanted,
        "nodes": [{"name": node, "score": finite(scores.get(node))} for node in plan.taken],
        "ranked": [_score(score) for score in plan.ranked],
        "unfit": [_unfit(unfit) for unfit in plan.unfit],
    }


def _score(score: Score) -> Json:
    return {
        "name": score.node,
        "score": finite(score.total),
        "terms": [
            {"name": term.name, "points": finite(term.points), "weight": term.weight, "told": term.told}
            for term in score.terms
        ],
    }


def _unfit(unfit: Unfit) -> Json:
    return {"name": unfit.node, "filter": unfit.filter, "reason": unfit.reason, "detail": unfit.detail or None}


def _copy(outcome: Outcome) -> Json:
    end = told(outcome.end)
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
