"""`clbalance drain`: take nodes out of placement with a reason, for all users if you may, and wait for their jobs."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import (
    DrainOptions,
    EngineOption,
    NodeOptions,
    NodesArgument,
    OutputOptions,
    SshOptions,
    takes,
)

_HELP = """Keep new jobs off nodes, with a reason (maintenance).

It returns at once, unless told to wait: with `--monitor` until no job runs there any more, with `--deadline` no
longer than that. While it waits, your jobs that are marked --requeue or --checkpoint are moved elsewhere. Nobody
else's jobs are touched, except by --force of root on the nodes.

With `--min-available` all of the nodes are drained or none, and however many people drain at once, so many are left: of
the nodes of `-g`, which then only says where to count, or of all (`-a`). Without NODES it drains those of `-g` itself.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("drain", help=_HELP)(drain)


@takes
def drain(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    terms: DrainOptions,
    reason: Annotated[str, Option("--reason", metavar="TEXT", help="Reason, shown to everyone.")],
    engine: EngineOption = None,
    words: NodesArgument = None,
) -> int:
    """Exits 3 if too few nodes would be left, 4 if a node could not be marked or a job still runs there."""
    from clbalance.cli.balance.drain import Draining
    from clbalance.cli.console import Console

    if engine not in (None, "ssh"):
        from clbalance.cli.balance.engine_marks import drain_in_engine

        return drain_in_engine(str(engine), nodes.with_words(words), ssh, Console.of(output), reason, terms)
    return Draining.of(nodes.with_words(words), ssh, Console.of(output), reason, terms).carry_out()
