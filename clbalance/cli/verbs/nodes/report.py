"""`clbalance report`: what a period was worth (`sreport`). It asks no node."""

import typer

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, takes
from clbalance.cli.report.options import PeriodOptions

_HELP = """Report on a period: how far nodes were seen, allocated and used, who used them, how jobs ended and waited.

It tells what this host has recorded, and asks no node. [the last 7 days, all nodes]
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("report", help=_HELP)(report)


@takes
def report(
    nodes: NodeOptions,
    period: PeriodOptions,
    output: OutputOptions,
    words: NodesArgument = None,
) -> int:
    """Exits 0, even if nothing is recorded."""
    from clbalance.cli.console import Console
    from clbalance.cli.report.report import show_report

    return show_report(nodes.with_words(words), period, output, Console.of(output))
