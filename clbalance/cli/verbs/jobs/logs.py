"""`clbalance logs`: the output of a job."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import JobArgument, ReachOptions, VerbosityOptions, takes

_HELP = """Show what a job has printed, of one node or of all of them.

A running job of another user, as root on its nodes, is named as `jobs --all-users` shows it, such as
alice/3f9a1c2b7d0e. `--node` then says where to look. [everywhere]
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("logs", help=_HELP)(logs)


@takes
def logs(
    ssh: ReachOptions,
    verbosity: VerbosityOptions,
    word: JobArgument = "last",
    follow: Annotated[bool, Option("-f", "--follow", help="Go on until the job is over.")] = False,
    err: Annotated[bool, Option("--err", help="Its standard error instead.")] = False,
    node_set: Annotated[str | None, Option("--node", metavar="NODES", help="Only of these nodes.")] = None,
) -> int:
    """Exits 4 if a node did not answer."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.follow import show_logs

    return show_logs(word, ssh, Console.of(verbosity), follow=follow, err=err, node_set=node_set)
