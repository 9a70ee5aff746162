"""`clbalance reap`: find and remove leftovers of your jobs on nodes."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, SshOptions, takes

_HELP = """Find what your ended jobs left on nodes. Removes nothing, unless --apply.

Processes, stale leases, partly written files and folders of ended jobs. What runs is never touched; without nodes: all.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("reap", help=_HELP)(reap)


@takes
def reap(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    words: NodesArgument = None,
    keep: Annotated[str, Option("--keep", metavar="TIME", help="Keep folders younger than this.")] = "7d",
    apply: Annotated[bool, Option("--apply", help="Remove what was found.", show_default=False)] = False,
) -> int:
    """Exits 4 if a node did not answer, or could not take something away."""
    from clbalance.cli.admin.reap import reap_nodes
    from clbalance.cli.console import Console

    return reap_nodes(nodes.with_words(words), ssh, Console.of(output), keep=keep, apply=apply)
