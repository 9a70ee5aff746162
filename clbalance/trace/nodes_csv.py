"""Nodes from a CSV file: `name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes`."""

from collections.abc import Iterable
from typing import Final

from clbalance.errors import NodeNameError, TraceError
from clbalance.model import Measured, NodeName
from clbalance.nodes import check_node_name
from clbalance.trace.idle import idle_gpus, idle_node
from clbalance.trace.rows import Row, rows

NODE_COLUMNS: Final = ("name", "cpus", "mem_bytes", "gpus", "gpu_model", "gpu_mem_bytes")


def parse_nodes(name: str, lines: Iterable[str]) -> tuple[Measured, ...]:
    """The nodes of the file `name`, with nothing on them; `TraceError` for a line that is not one."""
    found: dict[NodeName, Measured] = {}
    for row in rows(name, lines, NODE_COLUMNS):
        node = _node(row)
        if node.node in found:
            raise TraceError(f"{row.where}: there is a node {node.node} already", hint="give each node one line")
        found[node.node] = node
    if not found:
        raise TraceError(f"{name}: there is no node in it", hint="give each node a line below the heading")
    return tuple(found.values())


def _node(row: Row) -> Measured:
    try:
        name = check_node_name(row.cells["name"])
    except NodeNameError as error:
        raise TraceError(f"{row.where}: {error.message}", hint=error.hint) from error
    count = row.whole("gpus")
    gpus = idle_gpus(name, count=count, model=row.cells["gpu_model"], mem_bytes=_gpu_mem_bytes(row)) if count else ()
    return idle_node(name, cpus=row.whole("cpus", least=1), mem_bytes=row.whole("mem_bytes", least=1), gpus=gpus)


def _gpu_mem_bytes(row: Row) -> int:
    return row.whole("gpu_mem_bytes") if row.cells["gpu_mem_bytes"] else 0
