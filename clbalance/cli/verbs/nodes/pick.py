"""`clbalance pick`: the best nodes as a folded set, and nothing else (LSF's `lsplace`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, RequestOptions, SweepOptions, takes
from clbalance.lazy_dataclass import dataclass

PickOption = Annotated[
    str, Option("--pick", metavar="N|all", help="How many nodes; all: every one that fits.", show_default=True)
]
ExplainOption = Annotated[bool, Option("--explain", help="Show why these nodes, and why not the others.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PickOptions:
    """What is said of the choice."""

    lasting: Annotated[
        str | None,
        Option("--for", metavar="TIME", help="Rank by the load expected then, and warn of nodes that may fill up."),
    ] = None
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 4 if `--pick all` leaves a node out.")] = False


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
    choice: PickOptions,
    words: NodesArgument = None,
    count: PickOption = "1",
    explain: ExplainOption = False,
) -> int:
    """Prints only the folded set on stdout. Exits 3, with the reasons on stderr, if too few nodes fit."""
    from clbalance.cli.cluster import cluster_context
    from clbalance.cli.connecting import connecting
    from clbalance.cli.console import Console
    from clbalance.cli.option_values import parse_ahead
    from clbalance.cli.placement_remarks import force_hint, left_out, say_forced, say_nodes_left_out
    from clbalance.cli.requests import check_force
    from clbalance.errors import ExitCode
    from clbalance.nodeset import fold
    from clbalance.wiring.requests import constraints_of, parse_pick, resources_of

    console = Console.of(output)
    wanted, asked, wished = parse_pick(count), resources_of(resources), constraints_of(resources)
    chosen = nodes.with_words(words)
    ahead_s = None if choice.lasting is None else parse_ahead(choice.lasting, "`--for`")
    check_force(resources, chosen)
    cluster = cluster_context(chosen, ssh, console, policy=resources.policy)
    if ahead_s is not None:
        from clbalance.cli.nodes.foresight import looking_ahead_to

        cluster = looking_ahead_to(cluster, ahead_s)
    query = cluster.query(pick=wanted, resources=asked, constraints=wished)
    with connecting(cluster, query.request), cluster.services() as services:
        from clbalance.engine.place_tried import sweep_and_place_tried  # deferred imports: docs/design/startup.md
        from clbalance.render.reports.nodes.pick import PickReport

        plan = sweep_and_place_tried(services, query)
    if explain:
        console.explain(plan)
    if not plan.fits:
        from clbalance.wiring.nothing_fits import nothing_fits

        error = nothing_fits(plan, cluster.candidates, explained=explain)
        error.hint = force_hint(plan, query) or error.hint
        raise error
    for aside in plan.set_aside:
        say_forced(console, aside)
    is_short = choice.strict and bool(left_out(plan))
    say_nodes_left_out(console, plan, exit_code=ExitCode.SOME_NODES_FAILED if is_short else None)
    stays = None
    if ahead_s is not None:
        from clbalance.cli.nodes.foresight import say_what_stays_free

        stays = say_what_stays_free(console, plan, cluster, query.request, ahead_s)
    console.show(PickReport(plan=plan, folded=fold(plan.chosen), stays_free=stays))
    return ExitCode.SOME_NODES_FAILED if is_short else ExitCode.DONE
