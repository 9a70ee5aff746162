"""Work on many nodes, each in a thread of its own: the fan-out of `copy` and `fetch`.

`Transfers` is shared by the threads: each link to a node is made through it, so that one call ends them all.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from clbalance.engine.files.program import FileProgram
from clbalance.model import NodeName
from clbalance.ports import Transport
from clbalance.ports.files import FileListener, NodeProgress

T = TypeVar("T")


class Transfers:
    """Makes links, and closes them all."""

    def __init__(self, transport: Transport, *, within_s: float, idle_s: float) -> None:
        """`within_s`: for connection and hello. `idle_s`: for which a node may make no progress."""

    def program(self, node: NodeName) -> FileProgram:
        """The file program on a node, which has said hello, to be used in a `with` block. `LinkError`.

        Tries again where that can help.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End all links, in any thread: who uses one gets a `LinkError`, also who makes one from now on."""
        raise NotImplementedError


def on_each(
    nodes: Sequence[NodeName],
    work: Callable[[NodeName, Callable[[NodeProgress], None]], T],
    *,
    transfers: Transfers,
    fanout: int,
    listener: FileListener,
) -> tuple[T, ...]:
    """Call `work(node, progress)` in at most `fanout` threads; the results in node order.

    `work` catches `LinkError`. On an exception in the calling thread, such as Ctrl-C, all links are closed first.
    """
    raise NotImplementedError
