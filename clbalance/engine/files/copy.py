"""Copy files and folders to nodes."""

from collections.abc import Sequence

from clbalance.engine.files.transfers import Transfers
from clbalance.engine.files.values import CopyRequest
from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.ports import FileListener


def copy_to_nodes(
    transfers: Transfers, nodes: Sequence[NodeName], request: CopyRequest, *, fanout: int, listener: FileListener
) -> tuple[FilesResult, ...]:
    """Copy to each node; what became of it, in node order. Nodes fail alone.

    May be called in any thread; `transfers.close` in another thread ends it.
    """
    raise NotImplementedError
