"""Work on many nodes, each in a thread of its own: the fan-out of `copy` and `fetch`.

`Transfers` is shared by the threads: each link to a node is made through it, so that one call ends them all.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from clbalance.engine.files.program import FileProgram
from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.policy.files.plan import FilePlan
from clbalance.ports import FileListener, Transport


class Transfers:
    """Makes links, and closes them all."""

    def __init__(self, transport: Transport, *, program: str, within_s: float, idle_s: float) -> None:
        """`program`: `node.files_source()`. `within_s`: for connection and hello. `idle_s`: without any progress."""

    def program(self, node: NodeName) -> FileProgram:
        """The file program on a node, which has said hello, to be used in a `with` block. `LinkError`.

        Tries again where that can help.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End all links, in any thread: who uses one gets a `LinkError`, also who makes one from now on."""
        raise NotImplementedError


class Progress(Protocol):
    """What the work on one node tells; passed on to the listener in the thread that began it all."""

    def planned(self, plan: FilePlan) -> None:
        """As `FileListener.planned`."""
        ...

    def moved(self, count_bytes: int) -> None:
        """As `FileListener.moved`."""
        ...


def on_each(
    nodes: Sequence[NodeName],
    work: Callable[[NodeName, Progress], FilesResult],
    *,
    transfers: Transfers,
    fanout: int,
    listener: FileListener,
) -> tuple[FilesResult, ...]:
    """Call `work` for each node, in at most `fanout` threads; the results in node order.

    A `LinkError` in `work` is the failure of that node. On an exception in the calling thread, such as Ctrl-C, all
    links are closed first. May be called in any thread.
    """
    raise NotImplementedError
