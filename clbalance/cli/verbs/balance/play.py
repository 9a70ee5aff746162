"""`clbalance play`: run a playbook over nodes, least loaded first (`ansible-playbook`)."""

from typing import Annotated

import typer
from typer import Argument

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.cli.play.options import PlayLooks, PlayOptions

_HELP = """Run a playbook over nodes: upgrades, configuration, repairs.

The plan is shown first: which nodes in which order, and why. On a terminal it asks before nodes are drained. The run
stops by itself when too many nodes fail; `play --continue` goes on.

So: clbalance play rolling-upgrade -g gpu-nodes
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("play", help=_HELP)(play)


@takes
def play(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    options: PlayOptions,
    looks: PlayLooks,
    name: Annotated[str | None, Argument(metavar="PLAYBOOK", help="Its name, or its file.")] = None,
) -> int:
    """Exits 3 if `min_available` cannot be held, 4 if a node failed, 75 if the playbook runs already."""
    from clbalance.cli.console import Console
    from clbalance.playbook.names import parse_variables

    console, typed = Console.of(output), parse_variables(options.variables or ())
    if looks.check or looks.list_all or looks.schema:
        from clbalance.cli.play.show_playbooks import show_playbooks

        return show_playbooks(console, looks, name, typed)
    from clbalance.cli.play.files import named, read_playbook
    from clbalance.cli.play.run_play import PlayCall

    text = read_playbook(named(name), typed)
    return PlayCall(nodes=nodes, ssh=ssh, console=console, options=options).carry_out(text)
