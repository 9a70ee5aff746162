"""Who is told what a run of a playbook does, and who is asked."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from clbalance.model import NodeName
from clbalance.model.play_run import NodeChanged, StepRecord
from clbalance.model.playbook import Step

Asks: TypeAlias = Callable[[str], bool | None]
"""A question to somebody: yes, no, or None if nobody is there."""


class PlayListener(Protocol):
    """Is told each event once it is recorded, in the main thread."""

    def node_changed(self, changed: NodeChanged) -> None:
        """A turn has begun or ended."""
        ...

    def step_begins(self, record: StepRecord, step: Step) -> None:
        """An attempt at a step is about to begin."""
        ...

    def step_ended(self, record: StepRecord, step: Step) -> None:
        """An attempt has ended."""
        ...

    def holds(self, why: str, until: datetime | None) -> None:
        """No further turn starts for this reason, until a time or until something ends; empty: turns start again."""
        ...

    def warn(self, node: NodeName, what: str) -> None:
        """Something that does not change what becomes of the node."""
        ...

    def waits(self) -> float:
        """The run is about to wait. Returns the most seconds to wait until this is called again."""
        ...
