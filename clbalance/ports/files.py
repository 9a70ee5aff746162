"""The listener that is told the progress of `copy` and `fetch`, and whole results of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgress:
    """How far one node is. Totals are 0 until they are known."""

    node: NodeName
    files: int = 0
    """Files that are to be transferred."""
    size_bytes: int = 0
    files_done: int = 0
    """Whole, in place."""
    bytes_done: int = 0
    """On their way or there."""
    step: str = "connecting"
    """`connecting`, `comparing`, `copying`, `syncing`, `done` or `failed`."""


class FileListener(Protocol):
    """Is told the progress of a transfer to or from many nodes. All calls come in the thread that began it."""

    def began(self, nodes: Sequence[NodeName]) -> None:
        """Called once, first."""
        ...

    def progressed(self, nodes: Sequence[NodeProgress]) -> None:
        """Called at most ten times a second, and once at the end, with all nodes in their order."""
        ...

    def ended(self) -> None:
        """Called once, last, however it ends."""
        ...
