"""`clbalance drain`: take nodes out of placement, for everyone where you may, with a reason; and wait for them."""

from typing import Annotated

import typer
from typer import Argument, Option

from clbalance.cli.options import NodeOptions, SshOptions, TalkOptions, takes
from clbalance.lazy_dataclass import dataclass

NodesArgument = Annotated[list[str] | None, Argument(metavar="[NODES]...", help="As after -w.", show_default=False)]

_HELP = """Let nodes take no new work, with a reason.

It returns at once, unless it is to wait: with `--monitor` until nothing runs there any more, with `--deadline` no
longer than that. While it waits, your jobs that are marked --requeue or --checkpoint are moved elsewhere. Nobody
else's jobs are ever touched.

With `--min-available` all of the nodes are drained or none, and however many people drain at once, so many are left: of
the nodes of `-g`, which then only says where to count, or of all (`-a`). Without NODES it drains those of `-g` itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """On what terms nodes are drained."""

    lasting: Annotated[str | None, Option("--for", metavar="TIME", help="Ends by itself after this. [never]")] = None
    until: Annotated[
        str | None, Option("--until", metavar="WHEN", help="Ends by itself then, such as 18:00 or '2026-11-27 06:00'.")
    ] = None
    min_available: Annotated[
        str | None, Option("--min-available", metavar="N", help="Not if fewer nodes are left; a number, or as 80%.")
    ] = None
    monitor: Annotated[bool, Option("--monitor", help="Wait until nothing runs there any more.")] = False
    deadline: Annotated[
        str | None, Option("--deadline", metavar="TIME", help="Wait, but give up after this; the marks stay.")
    ] = None
    force: Annotated[bool, Option("--force", help="At the deadline cancel your own jobs there.")] = False

    @property
    def waits(self) -> bool:
        """Whether it returns only when something has come of it."""
        return self.monitor or self.deadline is not None


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("drain", help=_HELP)(drain)


@takes
def drain(
    nodes: NodeOptions,
    ssh: SshOptions,
    talk: TalkOptions,
    terms: DrainOptions,
    reason: Annotated[str, Option("--reason", metavar="TEXT", help="Why; shown to everyone.")],
    words: NodesArgument = None,
) -> int:
    """Exits 3 where too few would be left, 4 if a node could not be marked or something still runs there."""
    from clbalance.cli.draining import Draining
    from clbalance.cli.screen import Screen

    return Draining.of(nodes.with_words(words), ssh, Screen.of(talk), reason, terms).carry_out()
