"""What `clbalance lab status` prints."""

import json

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode, NodeState
from clbalance.lab.openssh import PORT
from clbalance.render.table import Cell, Column, Table, aligned

_SCHEMA = 1
_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CPUS", align="right"),
    Column(heading="GPUS", align="right"),
    Column(heading="r1m", align="right"),
    Column(heading="ut%", align="right"),
    Column(heading="PROCESSES", align="right"),
    Column(heading="ADDRESS"),
)


def lab_table(lab: Lab) -> str:
    """One line a node."""
    rows = tuple(tuple(Cell(text) for text in _row(lab, node)) for node in lab.nodes)
    return aligned(Table(columns=_COLUMNS, rows=rows))


def _row(lab: Lab, node: LabNode) -> tuple[str, ...]:
    load = node.current_load()
    state = node.state()
    return (
        node.name,
        str(state),
        str(lab.record.spec.cpus),
        str(node.gpus),
        f"{load.r1m:.2f}" if state is not NodeState.DOWN else "-",
        f"{load.ut_pct:.0f}" if state is not NodeState.DOWN else "-",
        str(len(node.processes())),
        f"{node.listener.address}:{PORT}",
    )


def lab_json(lab: Lab) -> str:
    """The lab and its nodes as one value."""
    nodes = [
        {
            "name": node.name,
            "state": node.state(),
            "address": node.listener.address,
            "port": PORT,
            "cpus": lab.record.spec.cpus,
            "gpus": node.gpus,
            "r1m": node.current_load().r1m,
            "ut_pct": node.current_load().ut_pct,
            "boot_id": node.boot_id(),
            "processes": node.processes(),
        }
        for node in lab.nodes
    ]
    about = {"directory": str(lab.directory), "isolation": lab.record.isolation, "ssh_config": str(lab.ssh_config)}
    return json.dumps({"schema": _SCHEMA, **about, "nodes": nodes}) + "\n"
