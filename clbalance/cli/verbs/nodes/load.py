"""`clbalance load`: the load of nodes, least loaded first (LSF's `lsload`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import ExpressionOptions, NodeOptions, OutputOptions, SshOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("load", help="Show the load of nodes, least loaded first; without nodes, of all of them.")(load)


@takes
def load(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    expressions: ExpressionOptions,
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 4 if any node is silent.")] = False,
) -> int:
    """Exits 0 if any node answered; 4 if none did or, with `-S`, if one did not."""
    from clbalance.cli.cluster import cluster_context
    from clbalance.cli.console import Console
    from clbalance.cli.requests import check_names, expressions_of
    from clbalance.engine.sweep import take_snapshot

    console, asked = Console.of(output), expressions_of(expressions)
    cluster = cluster_context(nodes, ssh, console)
    check_names(asked, cluster.settings)
    with cluster.services(meanwhile="clbalance.cli.nodes.load_rows") as services:
        snapshot = take_snapshot(services, cluster.candidates.nodes)
    from clbalance.cli.nodes.load_rows import load_exit_code, load_report, node_rows

    report, left_out = load_report(node_rows(snapshot, cluster.policy, cluster.default_cpus), asked)
    console.show(report)
    console.say(left_out)
    return load_exit_code(snapshot, strict=strict)
