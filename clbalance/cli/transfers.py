"""Makes what carries files to and from nodes."""

from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.engine.services import Services
from clbalance.ports import FileListener

if TYPE_CHECKING:
    from clbalance.engine.files.transfers import Transfers

_IDLE_S = 30.0
"""Without a byte that moves: a node that writes to a slow disk says so more often."""


def file_progress(console: Console) -> FileListener:
    """Shows on a terminal how far the files of a job have come."""
    from clbalance.cli.files.progress import FileProgress  # few jobs have files that travel

    return FileProgress(console)


def file_transfers(services: Services) -> "Transfers":
    """For one job, with the login and the deadlines of these services."""
    from clbalance.engine.files.transfers import Transfers  # few jobs have files that travel (docs/design/startup.md)
    from clbalance.node import files_source

    return Transfers(
        services.transport,
        program=files_source(),
        within_s=services.answer_within_s,
        idle_s=max(_IDLE_S, services.answer_within_s),
    )
