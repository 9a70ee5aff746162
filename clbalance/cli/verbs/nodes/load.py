"""`clbalance load`: the load of nodes, least loaded first (LSF's `lsload`)."""

import typer

from clbalance.cli.options import (
    ExpressionOptions,
    LoadOptions,
    NodeOptions,
    NodesArgument,
    OutputOptions,
    SweepOptions,
    takes,
)


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("load", help="Show the load of nodes, least loaded first; without nodes, of all of them.")(load)


@takes
def load(
    nodes: NodeOptions,
    ssh: SweepOptions,
    output: OutputOptions,
    expressions: ExpressionOptions,
    shown: LoadOptions,
    words: NodesArgument = None,
) -> int:
    """Exits 0 if any node answered; 4 if none did or, with `-S`, if one did not. With `--watch`, not by itself."""
    from clbalance.cli.console import Console
    from clbalance.cli.nodes.load import show_load

    return show_load(nodes.with_words(words), ssh, Console.of(output), expressions, shown)
