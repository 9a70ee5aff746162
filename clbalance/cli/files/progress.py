"""The progress of `copy` and `fetch` on a terminal, and what was planned, for the report."""

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from clbalance.cli.console import Console
from clbalance.cli.progress import ProgressLine
from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.nodeset import fold
from clbalance.policy.files.plan import FilePlan
from clbalance.render.reports.files.progress import FilesProgress, progress_text

_RATE_OVER_S: Final = 5.0
_NAMED: Final = 20
"""Failed nodes that are named; folding thousands for a line takes too long."""


class FileProgress:
    """A `FileListener`: one line, drawn over itself."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line = ProgressLine(quiet=console.quiet, clock=clock)
        self._nodes = 0
        self._ended = 0
        self._planned_bytes: dict[NodeName, int] = {}
        self._moved_bytes: dict[NodeName, int] = {}
        self._running: set[NodeName] = set()
        self._failed: list[NodeName] = []
        self._total_moved = 0
        self._marks: deque[tuple[float, int]] = deque()
        self.plans: dict[NodeName, FilePlan] = {}
        """What is or would be done, of each node that answered."""

    def asked(self, nodes: Collection[NodeName]) -> None:
        self._nodes = len(nodes)
        self._line.begin()

    def started(self, node: NodeName) -> None:
        self._running.add(node)
        self._show()

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        self.plans[node] = plan
        self._planned_bytes[node] = plan.size
        self._show()

    def moved(self, node: NodeName, count_bytes: int) -> None:
        self._moved_bytes[node] = self._moved_bytes.get(node, 0) + count_bytes
        self._total_moved += count_bytes
        self._show()

    def ended(self, result: FilesResult) -> None:
        self._ended += 1
        self._running.discard(result.node)
        if result.failure is not None:
            self._failed.append(result.node)
            # What it has not transferred never will be.
            self._planned_bytes[result.node] = self._moved_bytes.get(result.node, 0)
        self._show()

    def idle(self) -> None:
        self._show()

    def done(self) -> None:
        self._line.clear()

    def _show(self) -> None:
        self._line.show(lambda width: progress_text(self.state(), width))

    def state(self) -> FilesProgress:
        """What the line says now."""
        planned = sum(self._planned_bytes.values())
        compared = len(self._planned_bytes)
        total = planned * self._nodes // compared if compared else 0
        return FilesProgress(
            nodes=self._nodes,
            ended=self._ended,
            moved_bytes=self._total_moved,
            total_bytes=max(total, self._total_moved),
            rate=self._rate(),
            failed=fold(self._failed) if len(self._failed) <= _NAMED else f"{len(self._failed)} nodes",
            slowest=self._slowest(),
        )

    def _rate(self) -> float:
        now = self._clock()
        self._marks.append((now, self._total_moved))
        while len(self._marks) > 2 and self._marks[1][0] < now - _RATE_OVER_S:
            self._marks.popleft()
        since, before = self._marks[0]
        return (self._total_moved - before) / (now - since) if now > since else 0.0

    def _slowest(self) -> tuple[NodeName, float] | None:
        """The node with the largest part of its own still to come; None: only one works."""
        shares = {
            node: min(1.0, self._moved_bytes.get(node, 0) / size)
            for node in self._running
            if (size := self._planned_bytes.get(node, 0))
        }
        if len(shares) < 2:
            return None
        node = min(shares, key=lambda one: (shares[one], one))
        return node, shares[node]
