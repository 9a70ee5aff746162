"""`clbalance rebalance`: start queued jobs and level the load, as a plan or with `--apply`; for cron (`hbal`)."""

import typer

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, RebalanceOptions, SshOptions, takes

_HELP = """Start queued jobs, and move jobs off overloaded nodes. Only shows the plan, unless --apply.

Only your own jobs are moved, those run with --requeue or --checkpoint.
From cron: clbalance rebalance -g gpu-nodes --apply
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("rebalance", help=_HELP)(rebalance)


@takes
def rebalance(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    options: RebalanceOptions,
    words: NodesArgument = None,
) -> int:
    """Exits 0; 4 if no node answered, 75 if another `rebalance` runs on this host."""
    from clbalance.cli.balance.rebalance import rebalance_pools
    from clbalance.cli.console import Console

    return rebalance_pools(nodes.with_words(words), ssh, Console.of(output), options)
