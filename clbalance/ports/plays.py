"""The record of the runs of playbooks on this host, as the engine needs it (docs/design/playbooks.md)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, PlayEvent, PlayRun, PlaySummary, RunState


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

    def go_on(self, number: int, at: datetime, text: str, text_hash: str) -> PlayRun:
        """The run that was recorded before goes on in this process, by this text: its state is `RUNNING` again.

        Returns the run as it was until now. `LockedError` if it runs already, or another run of its playbook file does.
        """
        ...

    def start_turn(self, number: int, node: NodeName) -> int | None:
        """Record that the node's turn begins: its state is `RUNNING`. None: it may.

        Otherwise nothing is recorded, and the number of another run is returned, which has the node in a turn.
        """
        ...

    def write(self, number: int, event: PlayEvent) -> None:
        """Record a begin or an end of a step, or a node's new state. Called before what it announces is done."""
        ...

    def end(self, number: int, at: datetime, state: RunState, reason: str) -> None:
        """Record how the run has ended, and release its lock."""
        ...

    def progress(self, number: int, *, output: bool = True) -> Sequence[NodeProgress]:
        """What is recorded of each node, in the order of turns. Not `output`: results without their text.

        A drain that was refused and then tried again is one record.
        """
        ...


class PlayHistory(Protocol):
    """The runs as readers see them: a run whose process is gone is `INTERRUPTED`. Errors: `StoreError`."""

    def runs(self, *, playbook: str | None = None, newest: int = 20) -> Sequence[PlaySummary]:
        """The newest runs, newest first; of one playbook, by its name or file."""
        ...

    def run(self, number: int) -> PlayRun | None:
        """One run; None if there is none of that number."""
        ...

    def unfinished(self) -> int | None:
        """The newest run with a node that is not `OK`, and that was not rolled back."""
        ...

    def rollbacks(self, number: int) -> Sequence[int]:
        """The runs that roll back nodes of this run, the oldest first."""
        ...

    def progress(self, number: int, *, output: bool = True) -> Sequence[NodeProgress]:
        """As of `PlayJournal`."""
        ...

    def keep_results(self, number: int, sets: Mapping[str, str]) -> None:
        """Store the folded node sets of a run by result, for other programs (docs/design/groups.md)."""
        ...
