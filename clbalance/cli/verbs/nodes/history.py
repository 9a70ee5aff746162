"""`clbalance history`: the recorded load of nodes over time (`sar`). It asks no node."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, takes

_HELP = """Draw the load of nodes over time, a line for each node, as this host has recorded it.

Each command that asks nodes adds to the record. `history` asks no node. [all nodes]
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("history", help=_HELP)(history)


@takes
def history(
    nodes: NodeOptions,
    output: OutputOptions,
    words: NodesArgument = None,
    since: Annotated[str, Option("--since", metavar="TIME", help="Begin: 2h (ago), 2026-11-26, yesterday.")] = "1d",
    until: Annotated[str, Option("--until", metavar="TIME", help="End.")] = "now",
    index: Annotated[
        list[str] | None,
        Option("--index", metavar="INDEX", help="up, r1m, ut, mem, psi_io, gut or all; may be repeated. [load]"),
    ] = None,
    forecast: Annotated[
        str | None, Option("--forecast", metavar="TIME", help="Add the load expected in so long, and the usual error.")
    ] = None,
) -> int:
    """Exits 0, even if nothing is recorded."""
    from clbalance.cli.console import Console
    from clbalance.cli.nodes.history import HistoryQuery, show_history

    asked = HistoryQuery(since=since, until=until, indices=tuple(index or ()), forecast=forecast)
    return show_history(nodes.with_words(words), asked, Console.of(output))
