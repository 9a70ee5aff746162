"""`clbalance logs`: the output of a job."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import JobArgument, JobOutputOptions, ReachOptions, takes

NodesOption = Annotated[
    list[str] | None, Option("-w", "--nodes", metavar="NODES", help="Only what it has printed there.")
]

_HELP = """Show the output of a job, of one node or of all its nodes.

A running job of another user, as root on its nodes, is named as `jobs --all-users` shows it, such as
alice/3f9a1c2b7d0e. `-w` then says where to look. [everywhere]
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("logs", help=_HELP)(logs)


@takes
def logs(
    ssh: ReachOptions,
    output: JobOutputOptions,
    word: JobArgument = "last",
    follow: Annotated[bool, Option("-f", "--follow", help="Follow the output until the job has ended.")] = False,
    err: Annotated[bool, Option("--err", help="Standard error instead of output.")] = False,
    node_sets: NodesOption = None,
    old_node_sets: Annotated[list[str] | None, Option("--node", hidden=True)] = None,
) -> int:
    """Exits 4 if a node did not answer."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.follow import show_logs
    from clbalance.render.messages import OLD_SPELLING, note

    console = Console.of(output)
    if old_node_sets:
        console.say(note(OLD_SPELLING.format(old="--node", new="--nodes")))
    named = [*(node_sets or []), *(old_node_sets or [])]
    return show_logs(word, ssh, console, follow=follow, err=err, node_sets=named)
