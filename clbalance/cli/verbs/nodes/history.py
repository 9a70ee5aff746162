"""`clbalance history`: the recorded load of nodes over time (`sar`). It asks no node."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, takes

_HELP = """Draw what the load of nodes was, a line for each node, from what this host remembers.

Every sweep of any verb adds to it. It asks no node; without nodes: all of them.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("history", help=_HELP)(history)


@takes
def history(
    nodes: NodeOptions,
    output: OutputOptions,
    words: NodesArgument = None,
    since: Annotated[str, Option("--since", metavar="TIME", help="From then on: 2h, 2026-11-26, yesterday.")] = "1d",
    until: Annotated[str, Option("--until", metavar="TIME", help="Up to then.")] = "now",
    index: Annotated[
        list[str] | None,
        Option("--index", metavar="INDEX", help="This: up, r1m, ut, mem, psi_io, gut or all; more than once. [load]"),
    ] = None,
) -> int:
    """Exits 0, even if nothing is recorded."""
    from clbalance.cli.console import Console
    from clbalance.cli.nodes.history import HistoryQuery, show_history

    asked = HistoryQuery(since=since, until=until, indices=tuple(index or ()))
    return show_history(nodes.with_words(words), asked, Console.of(output))
