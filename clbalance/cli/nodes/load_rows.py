"""The rows of `load` from a snapshot: nodes, their order, their states and scores. Pure."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.errors import ExitCode
from clbalance.model import Measured, Request, Snapshot
from clbalance.model.request import Constraints
from clbalance.nodeset import fold
from clbalance.policy.placement.explain import node_state
from clbalance.policy.placement.gpus import matching_devices
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.quorum import was_not_awaited
from clbalance.render import messages
from clbalance.render.views import NodeRow

if TYPE_CHECKING:
    from clbalance.policy.expressions.where import Where


def node_rows(snapshot: Snapshot, policy: Policy, cpus: float = 1.0) -> list[NodeRow]:
    """One row per node, in the order of the snapshot; `cpus`: the request of a plain job, for the score."""
    plan = place(snapshot, Request(pick=None, cpus=cpus), policy, snapshot.taken_at, random.Random(0))
    scores = {score.node: score.total for score in plan.ranked}
    rows = []
    for answer in snapshot.answers:
        condition = node_state(answer, policy.thresholds, snapshot.taken_at, cpus)
        rows.append(
            NodeRow(
                node=answer.node,
                state=condition.state,
                reason="no answer yet" if was_not_awaited(answer) else condition.reason,
                violated=condition.violated,
                answer=answer,
                score=scores.get(answer.node),
            )
        )
    return rows


def load_exit_code(snapshot: Snapshot, *, strict: bool) -> ExitCode:
    """0 if any node answered; with `strict`, 4 if one did not."""
    answered = sum(isinstance(answer, Measured) for answer in snapshot.answers)
    if answered == len(snapshot.answers) or (answered and not strict):
        return ExitCode.DONE
    return ExitCode.SOME_NODES_FAILED


# `--where` and `--order` of `load`. Pure.


def shown_rows(
    rows: Sequence[NodeRow], asked: Constraints, *, only_gpus: bool = False
) -> tuple[Sequence[NodeRow], str]:
    """The rows, and a note about those that are not shown; empty: none.

    `only_gpus`: only devices are shown, so those that `--where` excludes go too, and nodes without any.
    """
    shown, left_out = _filtered(rows, asked.where) if asked.where else (rows, "")
    if only_gpus:
        shown = [_with_matching_gpus(row, asked) for row in shown]
        without = fold(
            [row.node for row in shown if isinstance(row.answer, Measured) and not row.answer.reading.has_gpus]
        )
        left_out += messages.note(f"no GPUs on {without}") if without else ""
    return _ordered(shown, asked.order) if asked.order else shown, left_out


def _with_matching_gpus(row: NodeRow, asked: Constraints) -> NodeRow:
    if not isinstance(row.answer, Measured):
        return row
    return replace(row, answer=matching_devices(row.answer, Request(constraints=asked)))


def _filtered(rows: Sequence[NodeRow], where: str) -> tuple[list[NodeRow], str]:
    from clbalance.policy.expressions.where import parse_where
    from clbalance.policy.indices.external import external_in

    condition = parse_where(where, external=external_in(row.answer for row in rows))
    shown: list[NodeRow] = []
    reasons: Counter[str] = Counter()
    for row in rows:
        reason = _why_not(row, condition)
        if reason is None:
            shown.append(row)
        else:
            reasons[reason] += 1
    message = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return shown, messages.note(f"{len(shown)}/{len(rows)} nodes shown: {message}") if message else ""


def _why_not(row: NodeRow, condition: "Where") -> str | None:
    if not isinstance(row.answer, Measured):
        return row.state  # silent: its load is unknown
    unmet = condition.unmet(row.answer)
    return None if unmet is None else unmet.reason


def _ordered(rows: Sequence[NodeRow], order: str) -> list[NodeRow]:
    """Replace the scores by the order of `--order`, because the report sorts rows by score."""
    from clbalance.policy.expressions.values import devices_of
    from clbalance.policy.expressions.where import parse_order, place_by
    from clbalance.policy.indices.external import external_in
    from clbalance.policy.placement.order import scores_by

    keys = parse_order(order, external=external_in(row.answer for row in rows))
    clusters = {row.node: place_by(keys, devices_of(row.answer), 0) for row in rows if isinstance(row.answer, Measured)}
    scores = {score.node: score.total for score in scores_by(clusters)}
    return [replace(row, score=scores.get(row.node)) for row in rows]
