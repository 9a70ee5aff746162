"""`clbalance load`: the load of nodes, least loaded first (LSF's `lsload`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.cli.request_options import ExpressionOptions


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
    from clbalance.cli.constraints import check_names, expressions_of
    from clbalance.cli.screen import Screen
    from clbalance.cli.workplace import workplace
    from clbalance.engine.measure import measure

    screen, asked = Screen.of(output), expressions_of(expressions)
    place = workplace(nodes, ssh, screen)
    check_names(asked, place.settings)
    with place.world(meanwhile="clbalance.cli.shown_nodes") as world:
        snapshot = measure(world, place.candidates.nodes)
    from clbalance.cli.node_rows import load_exit_code, node_rows
    from clbalance.cli.shown_nodes import load_report

    report, left_out = load_report(node_rows(snapshot, place.policy, place.cpus_asked(1.0)), asked)
    screen.show(report)
    screen.say(left_out)
    return load_exit_code(snapshot, strict=strict)
