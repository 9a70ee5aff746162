"""`clbalance drain`: take nodes out of placement, for everyone where you may, with a reason."""

from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.options import NodeOptions, SshOptions, TalkOptions, takes

NodesArgument = Annotated[list[str] | None, Argument(metavar="[NODES]...", help="As after -w.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("drain", help="Let nodes take no new work, with a reason; what runs there goes on.")(drain)


@takes
def drain(
    nodes: NodeOptions,
    ssh: SshOptions,
    talk: TalkOptions,
    reason: Annotated[str, Option("--reason", metavar="TEXT", help="Why; shown to everyone.")],
    lasting: Annotated[str | None, Option("--for", metavar="TIME", help="Ends by itself after this. [never]")] = None,
    words: NodesArgument = None,
) -> int:
    """Exits 4 if a node could not be marked."""
    from clbalance.cli.marking import Wording, drain_request, mark_nodes
    from clbalance.cli.screen import Screen

    wording = Wording(
        example="clbalance drain node[1-3] --reason TEXT",
        done="drained",
        not_root="your marks bind you alone, unless the node lists you as an admin",
    )
    return mark_nodes(nodes.with_words(words), ssh, Screen.of(talk), drain_request(reason, lasting), wording)
