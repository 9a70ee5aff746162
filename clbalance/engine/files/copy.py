"""Copy files and folders to nodes."""

from collections.abc import Sequence

from clbalance.engine.files.transfers import Transfers
from clbalance.engine.files.values import CopyOptions, NodeFiles
from clbalance.model import NodeName
from clbalance.policy.files.entry import Manifest  # w-fetch
from clbalance.ports.files import FileListener


def copy_to_nodes(
    transfers: Transfers,
    nodes: Sequence[NodeName],
    sources: Sequence[Manifest],
    destination: bytes,
    options: CopyOptions,
    *,
    fanout: int,
    listener: FileListener,
) -> tuple[NodeFiles, ...]:
    """Copy the walked sources to each node; what became of it, in node order. Nodes fail alone.

    `destination` is a folder if it exists or ends with `/`, or if there are several sources; else the name of the one.
    May be called in any thread; `transfers.close` in another thread ends it.
    """
    raise NotImplementedError
