"""`clbalance copy`: copy files and folders to nodes (`clush --copy`)."""

from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.files.options import FileOptions
from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes

_HELP = """Copy files and folders to nodes, each file whole or not at all.

DEST is a folder if it exists or ends with `/`, and relative to the home folder there. Of a folder typed as `SRC/`, what
is in it is copied. Modes and times are kept, and what is there already is not sent again. A node fails
alone, also if it makes no progress for 60 seconds, or as long as `-u` says.

So: clbalance copy -g gpu-nodes app.conf /etc/app/
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("copy", help=_HELP)(copy)


@takes
def copy(
    sources: Annotated[list[str], Argument(metavar="FILE...", help="Files and folders of this machine.")],
    destination: Annotated[str, Argument(metavar="DEST", help="A folder on the nodes, or a new name for one FILE.")],
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    files: FileOptions,
    follow: Annotated[bool, Option("--follow", help="Copy what links lead to, also out of the folder.")] = False,
) -> int:
    """Exits 4 if a node failed, or a file on it."""
    from clbalance.cli.console import Console
    from clbalance.cli.files.copy import CopyCall

    call = CopyCall(nodes=nodes, ssh=ssh, console=Console.of(output), options=files, follow=follow)
    return call.carry_out(sources, destination)
