"""JSON for programs: one value with its `schema` number, in ASCII, ended by a newline.

ASCII, so that nothing in it can act on a terminal and no locale can break it. Keys are only ever added
while `schema` stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clbalance.lazy_dataclass import dataclass
from clbalance.render.json_value import Json
from clbalance.render.node_document import node_document
from clbalance.render.views import NodeRow, least_loaded_first

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class JsonRenderer:
    """`--format json`."""

    def load(self, rows: Sequence[NodeRow]) -> str:
        return _document({"nodes": [node_document(row) for row in least_loaded_first(rows)]})

    def history(self, report: HistoryReport) -> str:
        from clbalance.render.history import history_document

        return _document(history_document(report))


def _document(content: dict[str, Json]) -> str:
    return json.dumps({"schema": SCHEMA, **content}, ensure_ascii=True, allow_nan=False) + "\n"
