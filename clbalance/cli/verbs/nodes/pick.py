"""`clbalance pick`: the best nodes as a folded set, and nothing else (LSF's `lsplace`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, RequestOptions, SweepOptions, takes

PickOption = Annotated[
    str, Option("--pick", metavar="N|all", help="How many nodes; all: every one that fits.", show_default=True)
]
ExplainOption = Annotated[bool, Option("--explain", help="Show why these nodes, and why not the others.")]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("pick", help="Print the least loaded nodes, folded: clush -w $(clbalance pick -g gpu --pick 4) ...")(
        pick
    )


@takes
def pick(
    nodes: NodeOptions,
    ssh: SweepOptions,
    output: OutputOptions,
    resources: RequestOptions,
    words: NodesArgument = None,
    count: PickOption = "1",
    explain: ExplainOption = False,
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 4 if `--pick all` leaves a node out.")] = False,
) -> int:
    """Prints only the folded set on stdout. Exits 3, with the reasons on stderr, if too few nodes fit."""
    from clbalance.cli.cluster import cluster_context
    from clbalance.cli.connecting import connecting
    from clbalance.cli.console import Console
    from clbalance.cli.placement_remarks import force_hint, left_out, say_forced, say_nodes_left_out
    from clbalance.cli.requests import check_force
    from clbalance.errors import ExitCode
    from clbalance.nodeset import fold
    from clbalance.wiring.nothing_fits import nothing_fits
    from clbalance.wiring.requests import constraints_of, parse_pick, resources_of

    console = Console.of(output)
    wanted, asked, wished = parse_pick(count), resources_of(resources), constraints_of(resources)
    chosen = nodes.with_words(words)
    check_force(resources, chosen)
    cluster = cluster_context(chosen, ssh, console, policy=resources.policy)
    query = cluster.query(pick=wanted, resources=asked, constraints=wished)
    with connecting(cluster, query.request), cluster.services() as services:
        from clbalance.engine.place_tried import sweep_and_place_tried  # deferred imports: docs/design/startup.md
        from clbalance.render.reports.nodes.pick import PickReport

        plan = sweep_and_place_tried(services, query)
    if explain:
        console.explain(plan)
    if not plan.fits:
        error = nothing_fits(plan, cluster.candidates, explained=explain)
        error.hint = force_hint(plan, query) or error.hint
        raise error
    for aside in plan.set_aside:
        say_forced(console, aside)
    is_short = strict and bool(left_out(plan))
    say_nodes_left_out(console, plan, exit_code=ExitCode.SOME_NODES_FAILED if is_short else None)
    console.show(PickReport(plan=plan, folded=fold(plan.chosen)))
    return ExitCode.SOME_NODES_FAILED if is_short else ExitCode.DONE
