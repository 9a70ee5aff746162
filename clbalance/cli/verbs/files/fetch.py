"""`clbalance fetch`: fetch files and folders from nodes (`clush --rcopy`)."""

from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.files.options import FileOptions
from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes

_HELP = """Fetch files and folders from nodes into DIR, each file whole or not at all.

NAME of node n1 becomes DIR/NAME.n1, as with `clush --rcopy`. FILE is relative to the home folder there; in quotes, `*`
is matched there. Modes and times are kept, and what was fetched before and is the same is not sent again. Links in a
folder are left out.

  clbalance fetch -g gpu-nodes '/var/log/nvidia-*.log' logs/

  clbalance fetch -w node[1-8] results collected/
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("fetch", help=_HELP)(fetch)


@takes
def fetch(
    sources: Annotated[list[str], Argument(metavar="FILE...", help="Files and folders on the nodes, or patterns.")],
    folder: Annotated[str, Argument(metavar="DIR", help="A folder of this machine.")],
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    files: FileOptions,
    max_size: Annotated[str, Option("--max-size", metavar="SIZE", help="Refuse a node that has more.")] = "100G",
) -> int:
    """Exits 4 if a node failed, or a file on it."""
    from clbalance.cli.console import Console
    from clbalance.cli.files.fetch import FetchCall
    from clbalance.units import parse_size

    call = FetchCall(nodes=nodes, ssh=ssh, console=Console.of(output), options=files, most_bytes=parse_size(max_size))
    return call.carry_out(sources, folder)
