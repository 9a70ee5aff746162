"""`clbalance top`: nodes, GPUs and jobs of many hosts (LSF's `lsmon`, `htop`)."""

import typer

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, SshOptions, takes
from clbalance.cli.top.options import TopOptions

_HELP = """Show nodes, GPUs, jobs, users and groups, round by round; without nodes named, of all nodes.

A live screen: ? lists its keys. With --once one frame of text; with --json a value a round, of all views.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("top", help=_HELP)(top)


@takes
def top(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    shown: TopOptions,
    words: NodesArgument = None,
) -> int:
    """Exits 0; with `--once` 4 if no node answered. Without a screen, a signal ends it."""
    from clbalance.cli.console import Console
    from clbalance.cli.top.show import show_top

    return show_top(nodes.with_words(words), ssh, Console.of(output), shown)
