"""Listeners, which are told the progress of a use case, and the standard input of a job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, Submitted
from clbalance.model.job_record import Outcome

if TYPE_CHECKING:  # not needed to ask nodes for their load (docs/design/startup.md)
    from clbalance.model.files import FilesResult
    from clbalance.model.task import TaskEnded, TaskProgress
    from clbalance.policy.files.plan import FilePlan
    from clbalance.ports.store import Journal


class JobInput(Protocol):
    """A job's standard input. A file is read in pieces, for each node separately, at the node's own pace."""

    @property
    def path(self) -> str | None:
        """Its absolute path, or `model.job.STANDARD_INPUT`; None if the input is empty."""
        ...

    @property
    def live(self) -> LiveInput | None:
        """The input that is passed on while the job runs; None: `read` gives all of it."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; empty at the end."""
        ...


class LiveInput(Protocol):
    """Standard input that is read while its only reader, a job of one copy, runs."""

    def begin(self, wake: Callable[[], None]) -> None:
        """Start to read. `wake` is called in another thread when `take` has something new."""
        ...

    def take(self) -> bytes | None:
        """The next piece, without waiting: empty at the end, None if there is none yet. `OSError` if reading fails."""
        ...


InputOf: TypeAlias = "Callable[[Journal, int, Submitted], JobInput]"
"""The standard input of a job that was submitted before; `UsageError` if it is gone."""


class RunListener(Protocol):
    """Is told the progress of a run as it happens: a terminal, files, or nothing."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet, or the job starts again; called with each new reason."""
        ...

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        """The job is about to be stopped, to continue on `node`."""
        ...

    def placed(self, job: JobSpec, plan: Plan) -> None:
        """Called once per attempt, before anything is started."""
        ...

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        """One copy runs. `limits`: the means by which its limits are kept, as its node describes them."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """A warning for the user about a copy."""
        ...

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of a copy's `stdout` or `stderr`, in order; the next waits until this returns."""
        ...

    def cut_off(self, node: NodeName) -> None:
        """The copy is being ended, and its output that we have not read yet will not come: it stays on the node."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Called once per copy and attempt, after its last output."""
        ...


class TaskListener(Protocol):
    """Is told the progress of tasks as it happens."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet; called with each new reason."""
        ...

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None:
        """Called once, with the number of slots asked of each node, before anything is started."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """A warning for the user."""
        ...

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of what a task writes, in order."""
        ...

    def ended(self, ended: TaskEnded) -> None:
        """Called when a task is over, after its last output."""
        ...

    def progressed(self, progress: TaskProgress) -> None:
        """Called now and then, with the counts so far."""
        ...


class SweepListener(Protocol):
    """Is told the progress of a sweep."""

    def asked(self, total: int) -> None:
        """Called once, when `total` nodes have been asked."""
        ...

    def answered(self, node: NodeName) -> None:
        """Called once for each node that answers or fails."""
        ...

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        """These have not answered yet. Called at first, after each event, and each second without one."""
        ...

    def done(self) -> None:
        """No node is awaited now: at the end, also when the sweep is cut short, and before a draft is shown."""
        ...

    def store_failed(self, reason: str) -> None:
        """The store failed. Rates are unknown now or next time; all else continues."""
        ...


class FileListener(Protocol):
    """Is told the progress of a copy or a fetch. All calls come from one thread, one at a time."""

    def asked(self, nodes: Collection[NodeName]) -> None:
        """Called once, before anything is sent."""
        ...

    def started(self, node: NodeName) -> None:
        """The node's turn has come: it is being connected to."""
        ...

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        """Called once for each node that answers with what it has; nothing is transferred or deleted before."""
        ...

    def moved(self, node: NodeName, count_bytes: int) -> None:
        """So many more bytes of files' contents were transferred."""
        ...

    def ended(self, result: FilesResult) -> None:
        """Called once for each node."""
        ...

    def idle(self) -> None:
        """Nothing has happened for a while: called at least once a second, so that a display can show it."""
        ...

    def done(self) -> None:
        """No node is awaited now: called at the end, also when the copying is cut short."""
        ...
