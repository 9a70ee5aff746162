"""`clbalance pick`: the best nodes as a folded set, and nothing else (LSF's `lsplace`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, RequestOptions, SshOptions, takes

PickOption = Annotated[
    str, Option("--pick", metavar="N|all", help="How many nodes; all: every one that fits.", show_default=True)
]
ExplainOption = Annotated[bool, Option("--explain", help="Say why these nodes, and why not the others.")]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("pick", help="Print the least loaded nodes, folded: clush -w $(clbalance pick -g gpu --pick 4) ...")(
        pick
    )


@takes
def pick(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    resources: RequestOptions,
    words: NodesArgument = None,
    count: PickOption = "1",
    explain: ExplainOption = False,
) -> int:
    """Prints only the folded set on stdout. Exits 3, with the reasons on stderr, if too few nodes fit."""
    from clbalance.cli.cluster import cluster_context
    from clbalance.cli.console import Console, nothing_fits
    from clbalance.cli.requests import constraints_of, parse_pick, resources_of
    from clbalance.engine.place import sweep_and_place
    from clbalance.nodeset import fold
    from clbalance.render.reports.nodes.pick import PickReport

    console = Console.of(output)
    wanted, asked, wished = parse_pick(count), resources_of(resources), constraints_of(resources)
    cluster = cluster_context(nodes.with_words(words), ssh, console, policy=resources.policy)
    with cluster.services() as services, services.transport.sessions() as sessions:
        plan = sweep_and_place(services, sessions, cluster.query(pick=wanted, resources=asked, constraints=wished))
    if explain:
        console.explain(plan)
    if not plan.fits:
        raise nothing_fits(plan, cluster.candidates, explained=explain)
    console.show(PickReport(plan=plan, folded=fold(plan.chosen)))
    return 0
