"""The views of nodes and of groups of nodes."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.model import Measured, NodeName, Unknown
from clbalance.policy.heat import NodeGroup
from clbalance.policy.indices import readers
from clbalance.policy.indices.row import AnsweredNode, Read
from clbalance.policy.placement.gpus import GpuState
from clbalance.render.gpus import gpu_conditions
from clbalance.render.reports.nodes.load import (
    FIGURES,
    figure_cells,
    gpus_cell,
    may_have_gpus,
    reason_text,
    state_cell,
)
from clbalance.render.sparkline import Blocks, sparkline
from clbalance.render.table import Cell, Column
from clbalance.render.text import DASH, iec
from clbalance.render.top.item import Item, Items, TopColumn, Value
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow

_RECENT = TopColumn(column=Column(heading="RECENT", sacrifice=2))
_GPUS = TopColumn(column=Column(heading="GPUS", align="right", sacrifice=1))
_SCALE_TOP = 1.0
"""A full bar of `RECENT`: one process for each cpu."""


def node_items(found: Round, blocks: Blocks) -> Items:
    """A row for each node, with the columns of `load`."""
    has_gpus = any(map(may_have_gpus, found.rows))
    columns = (
        TopColumn(column=Column(heading="NODE")),
        TopColumn(column=Column(heading="STATE")),
        *(TopColumn(column=figure.column) for figure in FIGURES),
        *((_GPUS,) if has_gpus else ()),
        _RECENT,
        TopColumn(column=Column(heading="REASON")),
    )
    return Items(columns=columns, items=tuple(_node(found, row, blocks, has_gpus=has_gpus) for row in found.rows))


def node_key(node: NodeName) -> str:
    """The key of a node's row."""
    return f"node:{node}"


def _node(found: Round, row: NodeRow, blocks: Blocks, *, has_gpus: bool) -> Item:
    cells = found.recent.get(row.node, ())
    recent = Cell(sparkline(cells, _SCALE_TOP, blocks), bad=blocks.silence)
    last = cells[-1].value if cells else None
    return Item(
        key=node_key(row.node),
        values=(
            Value(cell=Cell(row.node), value=row.node),
            Value(cell=state_cell(row), value=row.state),
            *_figures(row),
            *((Value(cell=gpus_cell(row), value=_free_gpus(row.answer)),) if has_gpus else ()),
            Value(cell=recent, value=last),
            Value(cell=Cell(reason_text(row)), value=reason_text(row) or None),
        ),
        nodes=(row.node,),
    )


def _figures(row: NodeRow) -> Iterator[Value]:
    """The cells of the load indices, each with the first of its numbers."""
    node = AnsweredNode.of(row.answer) if isinstance(row.answer, Measured) else None
    for figure, cell in zip(FIGURES, figure_cells(row), strict=True):
        value = None if node is None else figure.indices[0].read(node)
        known = None if value is None or isinstance(value, Unknown) or math.isnan(value) else value
        yield Value(cell=cell, value=known)


def _free_gpus(answer: object) -> float | None:
    if not isinstance(answer, Measured) or isinstance(answer.reading.gpus, Unknown):
        return None
    return float(sum(one.state is GpuState.FREE for _, _, one in gpu_conditions(answer, answer.reading.gpus)))


# -- groups

_GROUP_COLUMNS = (
    TopColumn(column=Column(heading="GROUP"), key="name"),
    TopColumn(column=Column(heading="NODES", align="right"), key="nodes"),
    TopColumn(column=Column(heading="ANSWER", align="right", sacrifice=4), key="answering"),
    TopColumn(column=Column(heading="r1m/cpu", align="right"), key="load_per_cpu"),
    TopColumn(column=Column(heading="UT", align="right"), key="ut_pct"),
    TopColumn(column=Column(heading="MEM", align="right", sacrifice=3), key="mem_available_bytes"),
    TopColumn(column=Column(heading="GPUS", align="right", sacrifice=1), key="gpus_free"),
    TopColumn(column=Column(heading="LEASES", align="right", sacrifice=2), key="leases"),
    TopColumn(column=Column(heading="STATES"), key="states"),
)


def group_items(found: Round, grouping: str) -> Items:
    """A row for each group: sums and means of the nodes that answered, and how many are in each state."""
    rows = {row.node: row for row in found.rows}
    groups = found.groupings.get(grouping, ())
    items = tuple(_group(grouping, group, [rows[node] for node in group.nodes if node in rows]) for group in groups)
    return Items(columns=_GROUP_COLUMNS, items=tuple(item for item in items if item.nodes))


def group_key(grouping: str, group: NodeGroup) -> str:
    """The key of a group's row."""
    return f"group:{grouping}:{group.label}"


def nodes_within(found: Round, key: str) -> frozenset[NodeName]:
    """The nodes of the group with this key; empty: there is no such group any more."""
    return frozenset(
        node
        for grouping, groups in found.groupings.items()
        for group in groups
        if group_key(grouping, group) == key
        for node in group.nodes
    )


def _group(grouping: str, group: NodeGroup, rows: Sequence[NodeRow]) -> Item:
    nodes = [AnsweredNode.of(row.answer) for row in rows if isinstance(row.answer, Measured)]
    states = ", ".join(f"{count} {state}" for state, count in Counter(row.state for row in rows).most_common())
    available, total = _sum(nodes, readers.effective_mem), _sum(nodes, readers.mem_total)
    free, devices = _devices(nodes)
    return Item(
        key=group_key(grouping, group),
        values=(
            Value.of(group.label),
            Value.number(len(rows), "{:.0f}".format),
            Value.number(len(nodes), "{:.0f}".format),
            Value.number(_mean(nodes, readers.load_per_cpu), "{:.2f}".format),
            Value.number(_mean(nodes, readers.ut_pct), "{:.0f}%".format),
            Value(cell=Cell(DASH if available is None else f"{iec(available)}/{iec(total or 0)}"), value=available),
            Value(cell=Cell(f"{free}/{devices} free" if devices else DASH), value=float(free) if devices else None),
            Value.number(_sum(nodes, readers.leases), "{:.0f}".format),
            Value.of(states),
        ),
        nodes=tuple(row.node for row in rows),
    )


def _known(nodes: Iterable[AnsweredNode], read: Read) -> list[float]:
    values = [read(node) for node in nodes]
    return [value for value in values if not isinstance(value, Unknown)]


def _mean(nodes: Iterable[AnsweredNode], read: Read) -> float | None:
    known = _known(nodes, read)
    return sum(known) / len(known) if known else None


def _sum(nodes: Iterable[AnsweredNode], read: Read) -> float | None:
    known = _known(nodes, read)
    return sum(known) if known else None


def _devices(nodes: Iterable[AnsweredNode]) -> tuple[int, int]:
    """How many devices are free, and how many there are."""
    states = [
        one.state
        for node in nodes
        if not isinstance(node.answer.reading.gpus, Unknown)
        for _, _, one in gpu_conditions(node.answer, node.answer.reading.gpus)
    ]
    return states.count(GpuState.FREE), len(states)


def only(found: Round, keep: Callable[[NodeRow], bool]) -> Round:
    """The round with these nodes only; pending jobs, which are on none, are left out."""
    rows = tuple(row for row in found.rows if keep(row))
    names = {row.node for row in rows}
    jobs, ended = (
        tuple(job for job in all_jobs if names.intersection(job.nodes)) for all_jobs in (found.jobs, found.ended)
    )
    return replace(found, rows=rows, jobs=jobs, ended=ended)


def groupings_of(
    nodes: Sequence[NodeName], labels: Mapping[NodeName, Mapping[str, str]], groups: Sequence[NodeGroup]
) -> dict[str, tuple[NodeGroup, ...]]:
    """The ways to group nodes: by the site's groups, by each label, and by name."""
    from clbalance.policy.heat import by_label, by_name

    found: dict[str, tuple[NodeGroup, ...]] = {"groups": tuple(groups)} if groups else {}
    for label in sorted({name for node in nodes for name in labels.get(node, ())}):
        values = {node: labels[node][label] for node in nodes if label in labels.get(node, {})}
        found[f"label {label}"] = tuple(by_label(nodes, values))
    return {**found, "name": tuple(by_name(nodes))}
