r"""Plain lines for shell loops: no heading, fields separated by tabs, `-` for unknown, plain numbers.

`while IFS=$'\t' read -r node state …` needs no skipping of headings, and `wc -l` counts nodes (`sinfo -h` and
`squeue -h` are asked for the same reason). The fields never change their place; new ones come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured
from clbalance.render.gpus import gpu_states
from clbalance.render.json_value import Json
from clbalance.render.node_document import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.views import NodeRow, least_loaded_first

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport

LOAD_FIELDS = (
    "name", "state", "r1m", "r5m", "r15m", "rq", "cpus", "ut_pct", "mem_available_bytes", "mem_total_bytes",
    "swp_free_bytes", "tmp_free_bytes", "psi_cpu_pct", "psi_mem_pct", "psi_io_pct", "ls", "score", "reason",
    "leases", "gpu_states",
)  # fmt: skip
"""Of `load`; the names are those of the JSON keys, but `leases` is how many there are, and `gpu_states` one word for
each of the node's GPUs, joined by commas."""


@dataclass(frozen=True, slots=True)
class PlainRenderer:
    """`--format plain`."""

    def load(self, rows: Sequence[NodeRow]) -> str:
        return plain_lines((_load_fields(row)) for row in least_loaded_first(rows))

    def history(self, report: HistoryReport) -> str:
        from clbalance.render.history import history_rows

        return plain_lines(history_rows(report))


def _load_fields(row: NodeRow) -> Iterator[Json]:
    states = gpu_states(row.answer) if isinstance(row.answer, Measured) else None
    document = {**node_document(row), "gpu_states": states}
    return (document[field] for field in LOAD_FIELDS)
