"""A copy to this machine, by the program that nodes run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clbalance.engine.files.copy import copy_to_nodes
from clbalance.engine.files.transfers import Transfers
from clbalance.engine.files.values import CopyRequest, Source
from clbalance.model import NodeName
from clbalance.model.files import Entry, FilesResult, Manifest
from clbalance.node import files_source
from clbalance.transport.reach import SshTransport
from clbalance.user_files.trees import open_source

from .listening import Silent

HERE = NodeName("here")


def copied(
    source: Path,
    destination: Path | str,
    *,
    idle_s: float = 20,
    at_plan: Callable[[], object] = lambda: None,
    **options: Any,
) -> FilesResult:
    """What became of it. Root may write below a temporary folder of pytest, which is in a shared one."""
    with open_source(str(source)) as tree:
        manifest = Manifest.of(one for one in tree.walk() if isinstance(one, Entry))
        request = CopyRequest(
            sources=(Source(tree=tree, manifest=manifest),),
            destination=str(destination),
            into_shared_folder=True,
            **options,
        )
        transfers = Transfers(SshTransport(here=frozenset({HERE})), program=files_source(), within_s=20, idle_s=idle_s)
        (result,) = copy_to_nodes(transfers, [HERE], request, fanout=1, listener=Silent(at_plan))
    return result
