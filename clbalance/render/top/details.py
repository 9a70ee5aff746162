"""Details of one row of `top`: all of its values, and what is on its nodes."""

from collections.abc import Iterator

from clbalance.policy.top.state import TopState
from clbalance.policy.top.view import View
from clbalance.render.lines import Line, padded
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Tone
from clbalance.render.top.frame import Scene, table_lines
from clbalance.render.top.gpus import gpu_items
from clbalance.render.top.item import Item, Items
from clbalance.render.top.jobs import job_items
from clbalance.render.top.narrow import Filter
from clbalance.render.top.nodes import node_items, only
from clbalance.render.top.round import Round


def detail_lines(found: Round, items: Items, state: TopState, width: int, blocks: Blocks) -> tuple[Line, ...]:
    """The details of the selected row."""
    item = next((one for one in items.items if one.key == state.place.selected), None)
    if item is None:
        return ((Cell("it is not there any more"),),)
    return tuple(_details(found, items, item, state.view, width, blocks))


def _details(found: Round, items: Items, item: Item, view: View, width: int, blocks: Blocks) -> Iterator[Line]:
    label_width = max(len(one.column.heading) for one in items.columns) + GAP
    for column, value in zip(items.columns, item.values, strict=True):
        yield Cell(padded(column.column.heading, label_width), Tone.QUIET), value.cell
    nodes = frozenset(item.nodes)
    there = only(found, lambda row: row.node in nodes)
    tables = {View.NODES: node_items(there, blocks), View.GPUS: gpu_items(there), View.JOBS: job_items(there)}
    for other, table in tables.items():
        if other is view or not table.items:
            continue
        yield ()
        yield (Cell(f"{other.upper()} on {'this node' if len(nodes) == 1 else 'these nodes'}", Tone.STRONG),)
        scene = Scene(found=there, state=TopState(view=other), items=table, by=Filter(), age_s=0.0)
        yield from table_lines(scene, width, blocks, 0, None, gutter=False)
