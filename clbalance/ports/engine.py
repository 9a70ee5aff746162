"""The interface of a batch system that runs jobs in our place (docs/design/engines.md)."""

from collections.abc import Collection, Mapping
from typing import Protocol

from clbalance.model import NodeName
from clbalance.model.engine import Answer, EngineJob, EngineNode, EngineOrder, Prepared, Refused
from clbalance.ports.listeners import JobInput


class Engine(Protocol):
    """A batch system. Every call has a deadline. `EngineError`: it does not answer.

    Jobs have names in it, given by us. So what became of an attempt can be asked by a process that never heard its
    number.
    """

    @property
    def name(self) -> str:
        """The word after `--engine`."""
        ...

    def prepare(self, order: EngineOrder, stdin: JobInput) -> Prepared | Refused:
        """Write what an attempt needs, before it is recorded. `Refused`: it cannot be asked for."""
        ...

    def submit(self, prepared: Prepared, *, keep_open: Collection[int] = ()) -> Answer:
        """Submit one attempt. Called once for each name, after the attempt was recorded.

        `Refused` promises that it never starts. The program that submits inherits the descriptors `keep_open`.
        """
        ...

    def look_up(self, names: Collection[str], *, max_age_s: float = 0.0) -> Mapping[str, EngineJob]:
        """The attempts with these names that the batch system has, or whose end is known all the same.

        One that is missing may have run: see `withdraw`. `max_age_s`: how old an answer may be.
        """
        ...

    def withdraw(self, name: str) -> bool:
        """Make sure that an attempt which `look_up` does not find never starts. False: it may have run."""
        ...

    def cancel(self, name: str) -> None:
        """End an attempt, whether it runs or waits. None of that name is no error."""
        ...

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the processes of an attempt that runs."""
        ...

    def output(self, name: str, rank: int, stream: str, offset: int) -> bytes:
        """What a copy has written to `stdout` or `stderr` from `offset` on, up to a piece; empty: no more so far."""
        ...

    def nodes(self) -> tuple[EngineNode, ...]:
        """Its nodes, in its own order."""
        ...

    def drain(self, nodes: Collection[NodeName], reason: str) -> str:
        """Let no new job begin on these nodes. Returns why that was not done; empty: it was."""
        ...

    def resume(self, nodes: Collection[NodeName]) -> str:
        """Let jobs begin there again. Returns the same."""
        ...
