"""`clbalance rebalance`: start what waits and level the load, as a plan or in earnest; made for cron (`hbal`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.lazy_dataclass import dataclass

_HELP = """Start jobs that wait, and move jobs off nodes that are over: a plan, unless --apply.

Your own jobs, marked --requeue or --checkpoint. From cron: clbalance rebalance -g gpu-nodes --apply
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceOptions:
    """What may be done, and how much of it."""

    apply: Annotated[bool, Option("--apply", help="Do it; silent where nothing is done.", show_default=False)] = False
    dry_run: Annotated[bool, Option("--dry-run", help="Only show the plan. [this, without --apply]")] = False
    max_moves: Annotated[
        int | None, Option("--max-moves", metavar="N", help="Move so many jobs at most; 0: only start. [5]")
    ] = None
    min_gain: Annotated[
        float | None, Option("--min-gain", metavar="GAIN", help="Leave a job whose move levels less. [0.01]")
    ] = None
    advise: Annotated[bool, Option("--advise", help="Say what other users could do, by owner.")] = False
    jitter: Annotated[str | None, Option("--jitter", metavar="TIME", help="Begin at a random moment within this.")] = (
        None
    )


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("rebalance", help=_HELP)(rebalance)


@takes
def rebalance(nodes: NodeOptions, ssh: SshOptions, output: OutputOptions, options: RebalanceOptions) -> int:
    """Exits 0; 4 if no node answered, 75 if another one is at work."""
    from clbalance.cli.rebalance_pools import rebalance_pools
    from clbalance.cli.screen import Screen

    return rebalance_pools(nodes, ssh, Screen.of(output), options)
