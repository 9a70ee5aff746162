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
    """Exits 0 if any node answered, 4 if none did or, with `-S`, if one did not."""
    from clbalance.cli.cluster import workplace
    from clbalance.cli.console import Screen
    from clbalance.cli.requests import check_names, expressions_of
    from clbalance.engine.sweep import measure

    screen, asked = Screen.of(output), expressions_of(expressions)
    place = workplace(nodes, ssh, screen)
    check_names(asked, place.settings)
    with place.world(meanwhile="clbalance.cli.nodes.load_rows") as world:
        snapshot = measure(world, place.candidates.nodes)
    from clbalance.cli.nodes.load_rows import load_exit_code, load_report, node_rows

    report, left_out = load_report(node_rows(snapshot, place.policy, place.cpus_asked(1.0)), asked)
    screen.show(report)
    screen.say(left_out)
    return load_exit_code(snapshot, strict=strict)
