"""Whoever watches a use case, and what he types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Outcome

if TYPE_CHECKING:  # what asks nodes for their load need not import what tasks are (docs/design/startup.md)
    from clbalance.model.task import TaskEnded, TaskProgress


class JobInput(Protocol):
    """The file that becomes a job's standard input; read in pieces, once per node, at each node's own pace."""

    @property
    def path(self) -> str | None:
        """Where it lies, absolute; None of an empty one."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; empty at the end."""
        ...


class RunListener(Protocol):
    """Who is told what a run does, as it happens: the terminal, files, or nobody."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet, or the job starts again; called with each new reason."""
        ...

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        """It is about to be stopped, to go on on `node`."""
        ...

    def placed(self, job: JobSpec, plan: Plan) -> None:
        """Called once per attempt, before anything is started."""
        ...

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        """One copy runs; by what its limits are kept there, in its node's words."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """Something about a copy that its user should know."""
        ...

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of a copy's `stdout` or `stderr`, in order; the next waits until this returns."""
        ...

    def cut_off(self, node: NodeName) -> None:
        """It is being ended, and what it has printed and we have not read yet will not come: the node has it."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Called once per copy and attempt, after its last output."""
        ...


class TaskListener(Protocol):
    """Who is told what becomes of tasks, as it happens."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet; called with each new reason."""
        ...

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None:
        """Called once, with the number of slots asked of each node, before anything is started."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """Something that the user should know."""
        ...

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of what a task writes, in order."""
        ...

    def ended(self, ended: TaskEnded) -> None:
        """Called when a task is over, after its last output."""
        ...

    def progressed(self, progress: TaskProgress) -> None:
        """Called now and then."""
        ...


class SweepListener(Protocol):
    """Who is told how far a sweep has come."""

    def asked(self, total: int) -> None:
        """Called once, when `total` nodes have been asked and are at work."""
        ...

    def answered(self, node: NodeName) -> None:
        """Called once per node, answer or silence."""
        ...

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        """These have not answered yet; called with all that is heard, and each second in which nothing is."""
        ...

    def done(self) -> None:
        """Called once at the end, also when the sweep is cut short."""
        ...

    def store_failed(self, reason: str) -> None:
        """The store failed: rates are unknown now or next time, and all else goes on."""
        ...
