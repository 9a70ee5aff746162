"""`clbalance lab`: a cluster in a box on loopback, for learning and for tests."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from clbalance.cli.admin.lab_load import LoadOptions
from clbalance.cli.options import OutputOptions, takes
from clbalance.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clbalance.lab.cluster import Lab
    from clbalance.lab.node import LabNode

app = typer.Typer(
    name="lab",
    help="A cluster in a box: real OpenSSH servers on loopback, each with a load of its own. Needs no root.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DirOption = Annotated[
    Path | None, Option("--dir", metavar="DIR", help="The lab's folder. [$CLBALANCE_LAB_DIR, else one of your own]")
]
AsJsonOption = Annotated[bool, Option("--json", help="Print them as one JSON value.")]
NodesArgument = Annotated[list[str], Argument(metavar="NODES...", help="Nodes, such as node[1-3] or @gpu-nodes.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """The nodes of a lab."""

    cpus: Annotated[int, Option("--cpus", metavar="C", help="Cpus of each node.")] = 4
    mem: Annotated[str, Option("--mem", metavar="SIZE", help="Memory of each node.")] = "16G"
    gpus: Annotated[int, Option("--gpus", metavar="G", help="GPUs of each node in gpu-nodes.")] = 2
    users: Annotated[
        str, Option("--users", metavar="NAME[:SHELL],...", help="Users who exist on the nodes only; as root.")
    ] = ""
    max_startups: Annotated[
        str, Option("--max-startups", metavar="A:B:C", help="How sshd throttles; sshd's own is 10:30:100.")
    ] = "100:30:200"
    slurm: Annotated[
        bool,
        Option("--slurm", help="The second half are nodes of a Slurm, too: partition and group `batch`."),
    ] = False
    gateways: Annotated[
        int, Option("--gateways", metavar="G", help="The first G are gateways to the others.", show_default=False)
    ] = 0
    isolation: Annotated[
        str, Option("--isolation", metavar="KIND", help="namespaces or subreaper. [the best that is allowed]")
    ] = ""


def register(program: typer.Typer) -> None:
    """Add the verb and its own verbs to `program`."""
    program.add_typer(app, name="lab")


@app.command(
    "up",
    help="Bring up N nodes, node1 to nodeN; the second half of them has GPUs.",
    short_help="Bring up N nodes; the second half of them has GPUs.",
)
@takes
def up(
    nodes: Annotated[int, Argument(metavar="N", help="How many nodes.")],
    options: ClusterOptions,
    output: OutputOptions,
    directory: DirOption = None,
) -> None:
    """Returns when every node accepts logins."""
    from clbalance.cli.admin.lab_status import lab_report
    from clbalance.cli.console import Console
    from clbalance.lab.cluster import Lab
    from clbalance.lab.spec import LabSpec, parse_isolation, parse_users
    from clbalance.model import NodeName
    from clbalance.nodeset import fold
    from clbalance.render.reports.admin.lab import LabUpReport
    from clbalance.units import parse_size

    spec = LabSpec(
        nodes=nodes,
        cpus=options.cpus,
        mem_bytes=parse_size(options.mem),
        gpus=options.gpus,
        users=parse_users(options.users),
        max_startups=options.max_startups,
        isolation=parse_isolation(options.isolation),
        slurm=options.slurm,
        gateways=options.gateways,
    )
    lab = Lab.up(_directory(directory), spec)
    console = Console.of(output)
    console.say(f"{nodes} {'nodes are' if nodes > 1 else 'node is'} up in {lab.directory}\n")
    console.say(f'`eval "$({_env_command(directory)})"` points this shell at it\n')
    if lab.topology is not None:
        through = fold(map(NodeName, spec.node_names()[: spec.gateways]))
        console.say(f"`--topology {lab.topology}` asks the other nodes through {through}\n")
    console.show(lab_report(lab, LabUpReport))


@app.command(
    "down",
    help="End every process of the lab and remove every file; harmless when repeated.",
    short_help="End every process of the lab and remove every file.",
)
@takes
def down(output: OutputOptions, directory: DirOption = None) -> None:
    """Exits 0 even if no lab is up."""
    from clbalance.cli.console import Console
    from clbalance.lab.cluster import take_down
    from clbalance.render.reports.admin.lab import LabDownReport

    where, console = _directory(directory), Console.of(output)
    was_up = take_down(where)
    console.say(f"the lab in {where} is down\n" if was_up else f"no lab is up in {where}\n")
    console.show(LabDownReport(directory=str(where), was_up=was_up))


@app.command("status", help="Show the lab's nodes and the load they pretend to have.")
@takes
def status(output: OutputOptions, directory: DirOption = None) -> None:
    """Exits 0. The load of a node that is down is shown as a dash."""
    from clbalance.cli.admin.lab_status import lab_report
    from clbalance.cli.console import Console

    Console.of(output).show(lab_report(_lab(directory)))


@app.command("load", help="Set what nodes pretend; their own running processes come on top.")
@takes
def load(nodes: NodesArgument, options: LoadOptions, directory: DirOption = None) -> None:
    """Returns when all running nodes show the new load."""
    from clbalance.lab.node import set_loads

    chosen = _nodes(_lab(directory), nodes)
    set_loads([(node, options.changed(node.current_load())) for node in chosen])


@app.command("kill", help="Switch nodes off: SIGKILL to everything that runs on them.")
def kill(nodes: NodesArgument, directory: DirOption = None) -> None:
    """Returns when no process of the nodes is left."""
    for node in _nodes(_lab(directory), nodes):
        node.kill()


@app.command(
    "boot",
    help="Boot or reboot nodes: idle, a new boot_id, an empty temporary folder.",
    short_help="Boot or reboot nodes: they are idle and empty again.",
)
def boot(nodes: NodesArgument, directory: DirOption = None) -> None:
    """Returns when they accept logins."""
    from clbalance.lab.node import boot_nodes

    boot_nodes(_nodes(_lab(directory), nodes))


@app.command("hang", help="Freeze nodes: connections to them open, and stay silent.")
def hang(nodes: NodesArgument, directory: DirOption = None) -> None:
    """Nodes that are switched off stay off."""
    for node in _nodes(_lab(directory), nodes):
        node.hang()


@app.command("thaw", help="Let frozen nodes go on.")
def thaw(nodes: NodesArgument, directory: DirOption = None) -> None:
    """Harmless for nodes that are not frozen."""
    for node in _nodes(_lab(directory), nodes):
        node.thaw()


@app.command(
    "env",
    help='Print the variables that point clbalance, clush and ssh at the lab: eval "$(... env)".',
    short_help="Print the variables that point this shell at the lab.",
)
def env(directory: DirOption = None, as_json: AsJsonOption = False) -> None:
    """For POSIX shells, unless `--json`: `CLBALANCE_FORMAT` is no reason to give a shell something else."""
    from clbalance.cli.console import Console
    from clbalance.render.reports.admin.lab import LabEnvironmentReport

    variables = _lab(directory).environment(os.environ)
    Console.of(OutputOptions(json=as_json)).show(LabEnvironmentReport(variables=variables))


def _env_command(directory: Path | None) -> str:
    return "clbalance lab env" + (f" --dir {shlex.quote(str(directory))}" if directory else "")


def _directory(given: Path | None) -> Path:
    from clbalance.lab.start import default_directory

    return given or default_directory(os.environ)


def _lab(given: Path | None) -> "Lab":
    from clbalance.lab.cluster import Lab

    return Lab.find(_directory(given))


def _nodes(lab: "Lab", texts: "Sequence[str]") -> "list[LabNode]":
    """The lab's nodes in these node sets, each once; group names are those of the lab."""
    from clbalance.nodeset import NodeSets
    from clbalance.transport.groups import load_groups

    text = ",".join(texts)
    resolver = load_groups(lab.groups_conf) if "@" in text else None
    return [lab.node(name) for name in NodeSets(resolver).expand(text)]
