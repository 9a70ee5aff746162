"""The rows of `load` from a snapshot: nodes, their order, their states and scores. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.errors import ExitCode
from clbalance.model import Measured, NodeName, Request, Silent, Snapshot
from clbalance.model.request import Constraints
from clbalance.nodeset import fold
from clbalance.policy.placement.gpus import matching_devices
from clbalance.render import messages
from clbalance.render.views import NodeRow, least_loaded_first

if TYPE_CHECKING:
    from clbalance.policy.expressions.where import Where


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


_MANY_ROWS = 40  # more than most screens have lines
_MOST_NODES_TO_NAME = 24  # characters; a longer node set would push all columns off the screen
_HOST = "%h"
"""Stands for the name of each node in a reason that several have; ssh uses it so."""


def best_rows(rows: Sequence[NodeRow], most: int, order: str | None) -> tuple[Sequence[NodeRow], str]:
    """The first `most` nodes in the order of the table, and a note about the others; empty: there are none."""
    if len(rows) <= most:
        return rows, ""
    ordered = least_loaded_first(rows)
    which = (
        f"the first {most} of {len(rows)} nodes by `--order`"
        if order
        else f"the {most} least loaded of {len(rows)} nodes"
    )
    return ordered[:most], messages.note(f"{which}; left out: {_states(ordered[most:])}")


def states_note(rows: Sequence[NodeRow]) -> str:
    """How many nodes are in which state, and how to see fewer. Empty where they can be seen at a glance."""
    if len(rows) <= _MANY_ROWS:
        return ""
    return messages.note(f"{len(rows)} nodes: {_states(rows)}; `--top 20` shows the least loaded")


def _states(rows: Sequence[NodeRow]) -> str:
    counts = Counter(row.state for row in rows)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())


def folded_rows(rows: Sequence[NodeRow]) -> list[NodeRow]:
    """The rows, with those of silent nodes in one for each state and reason."""
    alike: dict[tuple[str, str], list[NodeRow]] = {}
    for row in rows:
        if isinstance(row.answer, Silent):
            alike.setdefault((row.state, _reason_without_name(row)), []).append(row)
    seen = [row for row in rows if isinstance(row.answer, Measured)]
    return seen + [_folded(same, reason) if len(same) > 1 else same[0] for (_, reason), same in alike.items()]


def _reason_without_name(row: NodeRow) -> str:
    return re.sub(rf"(?<![\w.-]){re.escape(row.node)}(?![\w.-])", _HOST, row.reason or "")


def _folded(rows: Sequence[NodeRow], reason: str) -> NodeRow:
    names = fold([row.node for row in rows])
    if len(names) <= _MOST_NODES_TO_NAME:
        return replace(rows[0], node=NodeName(names), reason=reason)
    return replace(rows[0], node=NodeName(f"{len(rows)} nodes"), reason=f"{reason}: {names}")


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
