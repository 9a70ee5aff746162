"""`clbalance cancel`: end jobs (`scancel`, `bkill`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Cancel jobs: SIGTERM to all their processes, SIGKILL a second later.

By number, range, name or `last`; or those on some nodes, or all of yours that were submitted here.

Running jobs of others, as root on their nodes, or yours from elsewhere, are named as `jobs --all-users` shows them,
such as alice/3f9a1c2b7d0e, or by number and host, such as alice/17@login1. `-w` then says where to look. [everywhere]
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("cancel", help=_HELP)(cancel)


@takes
def cancel(
    ssh: ReachOptions,
    output: OutputOptions,
    words: JobsArgument = None,
    node_sets: Annotated[
        list[str] | None, Option("-w", "--nodes", metavar="NODES", help="Those on these nodes.")
    ] = None,
    everything: Annotated[bool, Option("--all", help="All of them.")] = False,
    signal: Annotated[
        str | None, Option("--signal", metavar="SIGNAL", help="Send this signal, such as USR1, and do not end them.")
    ] = None,
) -> int:
    """Exits 4 if a node has not confirmed the end of a job."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.cancel import end_jobs

    return end_jobs(
        words or [], ssh, Console.of(output), node_sets=node_sets or [], everything=everything, signal_name=signal
    )
