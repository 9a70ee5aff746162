"""`clbalance metrics`: one sweep in Prometheus' text format."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, SweepOptions, VerbosityOptions, takes

_HELP = """Ask nodes for their load, and print it in Prometheus' text format.

With --output it replaces a file whole, for the node exporter's textfile collector, and prints nothing.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("metrics", help=_HELP)(metrics)


@takes
def metrics(
    nodes: NodeOptions,
    ssh: SweepOptions,
    verbosity: VerbosityOptions,
    words: NodesArgument = None,
    output: Annotated[
        Path | None, Option("--output", metavar="FILE", help="Write to this file; its name must end in .prom.")
    ] = None,
) -> int:
    """Exits 0, even if nodes are silent: the metrics show it."""
    from clbalance.cli.console import Console
    from clbalance.cli.nodes.metrics import show_metrics

    return show_metrics(nodes.with_words(words), ssh, Console.of(verbosity), output)
