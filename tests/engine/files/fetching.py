"""A fetch from this machine, by the program that nodes run."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from clbalance.engine.files.fetch import FetchRequest, fetch_from_nodes
from clbalance.engine.files.transfers import Transfers
from clbalance.model import NodeName
from clbalance.model.files import FilesResult
from clbalance.node import files_source
from clbalance.transport.reach import SshTransport
from clbalance.user_files.trees.writing import TreeWriter

from .listening import Silent

HERE = NodeName("here")


def fetched(
    sources: tuple[str, ...],
    target: Path,
    *,
    idle_s: float = 20,
    at_plan: Callable[[], object] = lambda: None,
    **options: Any,
) -> FilesResult:
    """What became of it. Root may write below a temporary folder of pytest, which is in a shared one."""
    request = FetchRequest(**{"sources": sources, "most_bytes": 1 << 30, **options})
    transfers = Transfers(SshTransport(here=frozenset({HERE})), program=files_source(), within_s=20, idle_s=idle_s)
    folder = os.open(target, os.O_PATH | os.O_DIRECTORY)
    try:
        writer = partial(TreeWriter, folder, into_shared=True)
        (result,) = fetch_from_nodes(transfers, [HERE], request, writer=writer, fanout=1, listener=Silent(at_plan))
    finally:
        os.close(folder)
    return result
