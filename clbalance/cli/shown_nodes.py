"""The rows of `load` that `--where` leaves, in the order that `--order` gives them. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.constraints import UNCONSTRAINED, Constraints
from clbalance.model import Measured
from clbalance.render import talk
from clbalance.render.reports.load import LoadReport
from clbalance.render.views import NodeRow

if TYPE_CHECKING:
    from clbalance.policy.expressions.where import Where


def load_report(rows: Sequence[NodeRow], asked: Constraints) -> tuple[LoadReport, str]:
    """What is shown, and a remark about what is left out."""
    if asked == UNCONSTRAINED:
        return LoadReport(rows), ""
    shown, left_out = _meant(rows, asked.where) if asked.where else (list(rows), "")
    return LoadReport(_ordered(shown, asked.order) if asked.order else shown), left_out


def _meant(rows: Sequence[NodeRow], where: str) -> tuple[list[NodeRow], str]:
    from clbalance.policy.expressions.where import parse_where

    condition = parse_where(where)
    shown: list[NodeRow] = []
    reasons: Counter[str] = Counter()
    for row in rows:
        reason = _why_not(row, condition)
        if reason is None:
            shown.append(row)
        else:
            reasons[reason] += 1
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return shown, talk.note(f"{len(shown)}/{len(rows)} nodes shown: {told}") if told else ""


def _why_not(row: NodeRow, condition: "Where") -> str | None:
    if not isinstance(row.answer, Measured):
        return row.state  # silent: what it is like is not known
    unmet = condition.unmet(row.answer)
    return None if unmet is None else unmet.reason


def _ordered(rows: Sequence[NodeRow], order: str) -> list[NodeRow]:
    """By scores that say only that, as whoever shows rows sorts by scores."""
    from clbalance.policy.expressions.order import parse_order, place_by
    from clbalance.policy.expressions.values import devices_of
    from clbalance.policy.order import scores_by

    keys = parse_order(order)
    places = {row.node: place_by(keys, devices_of(row.answer), 0) for row in rows if isinstance(row.answer, Measured)}
    scores = {score.node: score.total for score in scores_by(places)}
    return [replace(row, score=scores.get(row.node)) for row in rows]
