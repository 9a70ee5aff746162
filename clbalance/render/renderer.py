"""One Protocol for what verbs print on standard output, whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, assert_never

from clbalance.render.format import Format
from clbalance.render.views import NodeRow

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport


class Renderer(Protocol):
    """Turns values into text that ends with a newline, or is empty. No method prints or fails."""

    def load(self, rows: Sequence[NodeRow]) -> str:
        """The load of nodes, least loaded first."""
        ...

    def history(self, report: HistoryReport) -> str:
        """What nodes were like over time. Empty for people where nothing is known."""


def renderer(form: Format, *, terminal_width: int | None, color: bool) -> Renderer:
    """The one for `form`; `terminal_width` is None where the output is no terminal, and nothing is cut there."""
    match form:
        case Format.HUMAN:
            from clbalance.render.as_human import HumanRenderer

            return HumanRenderer(terminal_width=terminal_width, color=color)
        case Format.JSON:
            from clbalance.render.as_json import JsonRenderer

            return JsonRenderer()
        case Format.PLAIN:
            from clbalance.render.as_plain import PlainRenderer

            return PlainRenderer()
        case _:
            assert_never(form)
