"""`play --check`, `--explain`, `--list` and `--schema`: look at playbooks, and ask no node."""

from collections.abc import Iterator, Mapping

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.play.files import PlaybookFile, PlayText, named, playbook_files, read_playbook
from clbalance.cli.play.folders import playbook_folders
from clbalance.cli.play.options import PlayLooks
from clbalance.cli.play.plan import minimum_of, pool_of
from clbalance.cli.play.run_play import nodes_meant
from clbalance.cli.play.sources import check_sources, document_of
from clbalance.errors import ExitCode, UsageError
from clbalance.model import NodeName
from clbalance.model.playbook import Playbook
from clbalance.nodeset import fold
from clbalance.playbook.load import load_playbook
from clbalance.playbook.origins import Origin, Value, values_of
from clbalance.render import messages
from clbalance.render.reports.play.explain import ExplainedPlaybook
from clbalance.render.reports.play.playbooks import CheckedPlaybook, PlaybookRow, Playbooks


def show_playbooks(
    console: Console, looks: PlayLooks, name: str | None, typed: Mapping[str, str], nodes: NodeOptions, ssh: SshOptions
) -> int:
    """The exit code. `UsageError` for a playbook that is not valid."""
    if looks.schema:
        from clbalance.playbook.forms import json_schema

        console.print(json_schema().decode())
    elif looks.list_all:
        rows = tuple(_rows())
        if not rows:
            folders = ", ".join(map(str, playbook_folders()))
            console.say(messages.note(f"no playbook is found by name in {folders}; a file is named by its path"))
        console.show(Playbooks(rows))
    else:
        read = read_playbook(named(name), typed)
        check_sources(read)
        meant, pool = _nodes_of(read.playbook, nodes, ssh, console)
        if looks.check:
            console.show(CheckedPlaybook(playbook=read.playbook, file=read.file, nodes=meant))
        else:
            values = _values(read, meant if nodes.names_nodes else None)
            console.show(ExplainedPlaybook(playbook=read.playbook, values=values, nodes=meant, pool=pool))
    return ExitCode.DONE


def _values(read: PlayText, typed_nodes: tuple[NodeName, ...] | None) -> tuple[Value, ...]:
    """Each value with what has set it. `typed_nodes`: in place of `hosts`."""
    values = values_of(document_of(read), read.typed)
    if typed_nodes is None:
        return values
    hosts = Value(name="hosts", text=fold(typed_nodes), origin=Origin.COMMAND_LINE)
    return tuple(hosts if one.name == "hosts" else one for one in values)


def _nodes_of(
    playbook: Playbook, nodes: NodeOptions, ssh: SshOptions, console: Console
) -> tuple[tuple[NodeName, ...] | None, tuple[NodeName, ...] | None]:
    """Its nodes, and those that `min_available` counts; None: none are named.

    `UsageError` for what is no node, `TooFewLeftError` for a minimum that can never be held.
    """
    if not (nodes.names_nodes or playbook.hosts):
        return None, None
    cluster = cluster_context(nodes_meant(nodes, playbook), ssh, console)
    pool = pool_of(cluster, nodes, ssh, playbook)
    minimum_of(playbook, pool)
    return tuple(cluster.candidates.nodes), pool


def _rows() -> Iterator[PlaybookRow]:
    """Each name once; a playbook that cannot be used is in the list with the reason."""
    seen = set()
    for file in playbook_files():
        if file.name not in seen:
            seen.add(file.name)
            yield _row(file)


def _row(file: PlaybookFile) -> PlaybookRow:
    try:
        playbook = load_playbook(file.read(), str(file.path), name=file.name)
    except UsageError as error:
        return PlaybookRow(name=file.name, file=str(file.path), fault=error.message.splitlines()[0])
    return PlaybookRow(
        name=file.name,
        file=str(file.path),
        description=playbook.description,
        variables={name: None if name in playbook.missing else value for name, value in playbook.variables.items()},
    )
