"""`clbalance shell`: a prompt for all nodes (clush's interactive mode, with our verbs)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, SshOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command(
        "shell",
        help="Read lines from a terminal or a script: a verb is carried out, `use NODES` sets the current nodes,"
        " and all else runs on these. `?` shows them, `!COMMAND` runs here, `help` tells more.",
    )(shell)


@takes
def shell(
    nodes: NodeOptions,
    ssh: SshOptions,
    words: NodesArgument = None,
    command: Annotated[
        str | None, Option("--command", metavar="TEXT", help="Carry out this text, and read nothing.")
    ] = None,
    errexit: Annotated[bool, Option("-e", "--errexit", help="Stop at the first line that fails.")] = False,
    yes: Annotated[bool, Option("--yes", help="Do not ask before dangerous commands.")] = False,
) -> int:
    """Exits with the code of the last line; with `-e`, of the first that fails."""
    from clbalance.cli.shell.shell import run_shell

    return run_shell(nodes.with_words(words), ssh, command=command, stops_at_failure=errexit, yes=yes)
