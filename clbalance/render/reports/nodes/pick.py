"""`pick`: the chosen nodes; in JSON, the whole plan."""

from collections.abc import Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan, Score, Unfit
from clbalance.policy.forecast.stays_free import StaysFree
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.text import Json, finite


@dataclass(frozen=True, slots=True, kw_only=True)
class PickReport(Report):
    """A plan; `folded` has the chosen nodes as one node set."""

    plan: Plan
    folded: str
    stays_free: Sequence[StaysFree] | None = None
    """Of the chosen nodes; None: nobody has asked."""

    def human(self, display: Display) -> str:
        """A single line, for `$(clbalance pick …)`."""
        return self.plain()

    def plain(self) -> str:
        return plain_lines([[self.folded]] if self.folded else [])

    def json(self) -> dict[str, Json]:
        document = plan_document(self.plan, self.folded)
        if self.stays_free is None:
            return document
        stays: list[Json] = [{"name": one.node, "stays_free": one.verdict, "why": one.why} for one in self.stays_free]
        return {**document, "stays_free": stays}


def plan_document(plan: Plan, folded: str) -> dict[str, Json]:
    """The plan as JSON: every node with the terms of its score, or with the filter that it failed."""
    scores = {score.node: score.total for score in plan.ranked}
    aside: dict[str, Json] = {"set_aside": [_unfit(one) for one in plan.set_aside]} if plan.set_aside else {}
    return {
        "node_set": folded,
        "wanted": plan.wanted,
        "nodes": [{"name": node, "score": finite(scores.get(node))} for node in plan.nodes],
        "ranked": [_score(score) for score in plan.ranked],
        "unfit": [_unfit(unfit) for unfit in plan.unfit],
        **aside,
    }


def _score(score: Score) -> Json:
    return {
        "name": score.node,
        "score": finite(score.total),
        "terms": [
            {
                "name": term.name,
                "points": finite(term.points),
                "weight": term.weight,
                "told": term.source,
                "unknown": term.unknown,
            }
            for term in score.terms
        ],
    }


def _unfit(unfit: Unfit) -> Json:
    return {"name": unfit.node, "filter": unfit.filter, "reason": unfit.reason, "detail": unfit.detail or None}
