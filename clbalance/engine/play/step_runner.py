"""What carries out one step on one node, as the run sees it. `engine/play/steps/` implements it."""

import threading
from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import Result, StepEnded, StepList
from clbalance.model.playbook import Playbook, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """What one attempt at a step may know of its run."""

    playbook: Playbook
    run: int
    """The number of the run, for drain marks and messages; 0: check mode."""
    rolls_back: int | None = None
    """The run that this one rolls back; its drain marks count as this one's."""
    nodes: tuple[NodeName, ...]
    """All nodes of the run, in the order of turns."""
    pool: tuple[NodeName, ...] = ()
    """The nodes that `min_available` counts."""
    min_available: int | None = None
    """As a number of nodes. None: drains ask for no minimum."""
    steps: StepList = StepList.STEPS
    index: int = 0
    attempt: int = 1
    registered: Mapping[str, Result] = field(default_factory=dict)
    """By the names of `register`, of this node, and of steps that ran once for all nodes."""
    last: Result | None = None
    """Of the last step of this node that ran: `result` in conditions."""
    failed: str = ""
    """In a rollback: which step has failed, and why."""

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing may be changed, here or there."""
        return not self.run


class StepRunner(Protocol):
    """Each call carries out one thing on one node, in a thread of its own. A failure is a value, never an exception.

    A call ends within the step's own limits. Once `stop` is set it ends soon: it starts nothing more, and returns
    `UNKNOWN` where something on the node may go on.
    """

    def run(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """Carry out one attempt: look at `when`, do it, look at `until`.

        `SKIPPED` if `when` is not true; `FAILED` if the action fails or `until` is not true; `REFUSED` by a drain that
        the minimum does not allow now. Drains with a minimum are marked one at a time in this process, but waited for
        all at once. A `Pause` that asks never comes here.
        """
        ...

    def check(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """What `run` would do, without doing it: `reason` says it in a few words, `result.out` holds a diff."""
        ...

    def keep_drained(self, node: NodeName, reason: str, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """The turn of a drained node has failed: its drain mark names the run and this reason from now on."""
        ...
