"""The record of the runs of playbooks on this host, as the engine needs it (docs/design/playbooks.md)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from clbalance.model.play_run import NodeProgress, PlayEvent, PlayRun, RunState


class PlayJournal(Protocol):
    """Writes are on disk when a method returns. One run of a playbook's file at a time on this host.

    The process that begins or continues a run holds a lock while it lives, so that a run of a process that is gone
    can be told from one that goes on. Errors: `StoreError`.
    """

    def begin(self, run: PlayRun) -> int:
        """Record a new run, and return its number (`run.number` is ignored). Each of `run.nodes` is `NOT_STARTED`.

        `LockedError` if the same playbook file runs already.
        """
        ...

    def go_on(self, number: int) -> None:
        """The run that was recorded before goes on in this process: its state is `RUNNING` again.

        `LockedError` if it runs already, or another run of its playbook file does.
        """
        ...

    def write(self, number: int, event: PlayEvent) -> None:
        """Record a begin or an end of a step, or a node's new state. Called before what it announces is done."""
        ...

    def end(self, number: int, at: datetime, state: RunState, reason: str) -> None:
        """Record how the run has ended, and release its lock."""
        ...

    def progress(self, number: int) -> Sequence[NodeProgress]:
        """What is recorded of each node, in the order of turns."""
        ...
