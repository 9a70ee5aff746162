"""The rows that the state of the screen asks for: of one view, within a group, past the filter, in order."""

import re
from dataclasses import replace

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Request
from clbalance.model.plugins import ExternalIndex
from clbalance.model.request import Constraints
from clbalance.policy.expressions.where import Where, parse_where
from clbalance.policy.placement.gpus import matching_devices
from clbalance.policy.top.state import Shown, TopState
from clbalance.policy.top.view import View
from clbalance.render.sparkline import Blocks
from clbalance.render.top.gpus import gpu_items
from clbalance.render.top.item import Items
from clbalance.render.top.jobs import job_items, user_items
from clbalance.render.top.nodes import group_items, node_items, nodes_within, only
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow

_LOOKS_LIKE_AN_EXPRESSION = re.compile(r"[<>=~]|\band\b|\bor\b|\bnot\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a typed filter means: an expression that selects nodes, or a text that a row must have."""

    where: Where | None = None
    typed: str = ""
    text: str = ""
    remark: str = ""
    """Why it is a text although it looks like an expression."""


def parse_filter(typed: str, labels: frozenset[str], external: tuple[ExternalIndex, ...] = ()) -> Filter:
    """The meaning of a filter. Any text has one. `external`: the indices of the site's own programs."""
    text = typed.strip()
    if not _LOOKS_LIKE_AN_EXPRESSION.search(text):
        return Filter(typed=text, text=text)
    try:
        return Filter(typed=text, where=parse_where(text, labels, external))
    except ClbalanceError as error:
        return Filter(typed=text, text=text, remark=f"taken as text: {error.message.removeprefix('`--where`: ')}")


def items_of(found: Round, state: TopState, blocks: Blocks) -> Items:
    """The rows of the view in their order; the filter comes later (`filtered`), because it is tried with each key."""
    within = nodes_within(found, state.within)
    if within:
        found = only(found, lambda row: row.node in within)
    match state.view:
        case View.GPUS:
            return gpu_items(found)
        case View.JOBS:
            return job_items(found)
        case View.USERS:
            return user_items(found)
        case View.GROUPS:
            return group_items(found, grouping_of(found, state))
        case View.NODES:
            return group_items(found, grouping_of(found, state)) if state.is_folded else node_items(found, blocks)


def grouping_of(found: Round, state: TopState) -> str:
    """The grouping that is asked for; the first, if there is none of that name."""
    return state.grouping if state.grouping in found.groupings else next(iter(found.groupings), "")


def selected_nodes(found: Round, by: Filter) -> Round:
    """The round with the nodes that meet the expression of the filter; of them, only the GPUs that meet it."""
    where = by.where
    if where is None:
        return found
    request = Request(constraints=Constraints(where=by.typed))

    def meets(row: NodeRow) -> bool:
        return isinstance(row.answer, Measured) and where.unmet(row.answer) is None

    def with_devices(row: NodeRow) -> NodeRow:
        return replace(row, answer=matching_devices(row.answer, request)) if isinstance(row.answer, Measured) else row

    kept = only(found, meets)
    return replace(kept, rows=tuple(map(with_devices, kept.rows)))


def visible(items: Items, by: Filter, state: TopState) -> Items:
    """Those that the screen shows, in its order."""
    return items.with_text(by.text).sorted(state.place.order)


def matches(found: Round, items: Items, by: Filter) -> frozenset[str]:
    """The keys of the rows that this filter selects, whatever the present one is."""
    if by.where is None:
        return frozenset(item.key for item in items.with_text(by.text).items)
    nodes = frozenset(row.node for row in selected_nodes(found, by).rows)
    return frozenset(item.key for item in items.items if not nodes.isdisjoint(item.nodes))


def shown_of(found: Round, items: Items, page: int) -> Shown:
    """What keys need to know of it."""
    return Shown(
        keys=tuple(item.key for item in items.items),
        columns=len(items.columns),
        page=page,
        groupings=tuple(found.groupings),
    )
