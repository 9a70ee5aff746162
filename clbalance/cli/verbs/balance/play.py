"""`clbalance play`: run a playbook over nodes, least loaded first (`ansible-playbook`)."""

from typing import Annotated

import typer
from typer import Argument

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.cli.play.options import PlayOptions

_HELP = """Run a playbook over nodes: upgrades, configuration, repairs.

The plan is shown first: which nodes in which order, and why. On a terminal it asks before nodes are drained. The run
stops by itself when too many nodes fail; `play --continue` goes on.

So: clbalance play rolling-upgrade.yml -g gpu-nodes
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("play", help=_HELP)(play)


@takes
def play(
    name: Annotated[str, Argument(metavar="PLAYBOOK", help="The file of a playbook.")],
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    options: PlayOptions,
) -> int:
    """Exits 3 if `min_available` cannot be held, 4 if a node failed, 75 if the playbook runs already."""
    from clbalance.cli.console import Console
    from clbalance.cli.play.read import read_play
    from clbalance.cli.play.run_play import PlayCall
    from clbalance.playbook.names import parse_variables

    text = read_play(name, parse_variables(options.variables or ()))
    return PlayCall(nodes=nodes, ssh=ssh, console=Console.of(output), options=options).carry_out(text)
