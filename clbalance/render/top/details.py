"""Details of one row of `top`: all of its values, and what is on its nodes."""

from collections.abc import Iterator

from clbalance.policy.top.state import TopState
from clbalance.policy.top.view import View
from clbalance.render.lines import Line, padded
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Tone
from clbalance.render.top.gpus import gpu_items
from clbalance.render.top.item import Item, Items
from clbalance.render.top.jobs import job_items
from clbalance.render.top.node_details import OpenNode, gpu_lines, node_lines
from clbalance.render.top.nodes import node_items, only
from clbalance.render.top.round import Round
from clbalance.render.top.table_lines import TableLines, whole_table


def detail_lines(
    found: Round, items: Items, state: TopState, width: int, blocks: Blocks, looked: OpenNode | None = None
) -> tuple[Line, ...]:
    """The details of the selected row. `looked`: what only the node whose details are open was asked for."""
    item = next((one for one in items.items if one.key == state.place.selected), None)
    if item is None:
        return ((Cell("it is not there any more"),),)
    if state.view is View.NODES:
        return tuple(_of_node(found, item, width, blocks, looked))
    return tuple(_of_row(found, items, item, state.view, width, blocks))


def _of_node(found: Round, item: Item, width: int, blocks: Blocks, looked: OpenNode | None) -> Iterator[Line]:
    there = only(found, lambda row: row.node in item.nodes)
    for row in there.rows:
        own = looked if looked is not None and looked.node == row.node else None
        yield from node_lines(row, own, width, blocks)
        yield from _section("GPUS and who is on them", gpu_lines(row, found.names, width, blocks))
    yield from _section("JOBS", _rows(job_items(there), width, blocks))


def _of_row(found: Round, items: Items, item: Item, view: View, width: int, blocks: Blocks) -> Iterator[Line]:
    label_width = max(len(one.column.heading) for one in items.columns) + GAP
    for column, value in zip(items.columns, item.values, strict=True):
        yield Cell(padded(column.column.heading, label_width), Tone.QUIET), value.cell
    nodes = frozenset(item.nodes)
    there = only(found, lambda row: row.node in nodes)
    tables = {View.NODES: node_items(there, blocks), View.GPUS: gpu_items(there), View.JOBS: job_items(there)}
    for other, table in tables.items():
        if other is not view:
            where = "this node" if len(nodes) == 1 else "these nodes"
            yield from _section(f"{other.upper()} on {where}", _rows(table, width, blocks))


def _rows(items: Items, width: int, blocks: Blocks) -> Iterator[Line]:
    if items.items:
        yield from TableLines(whole_table(items, TopState()), width, blocks)


def _section(title: str, lines: Iterator[Line]) -> Iterator[Line]:
    """A title above the lines, if there are any."""
    for number, line in enumerate(lines):
        if number == 0:
            yield ()
            yield (Cell(title, Tone.STRONG),)
        yield line
