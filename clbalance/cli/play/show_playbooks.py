"""`play --check`, `--list` and `--schema`: look at playbooks, and run nothing."""

from collections.abc import Iterator, Mapping

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.play.files import PlaybookFile, named, playbook_files, playbook_folders, read_playbook
from clbalance.cli.play.options import PlayLooks
from clbalance.cli.play.plan import check_sources, minimum_of
from clbalance.cli.play.run_play import nodes_meant
from clbalance.errors import ExitCode, UsageError
from clbalance.model import NodeName
from clbalance.model.playbook import Playbook
from clbalance.playbook.load import load_playbook
from clbalance.render import messages
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
        check_sources(read.playbook, read.folder)
        meant = _nodes_of(read.playbook, nodes, ssh, console)
        console.show(CheckedPlaybook(playbook=read.playbook, file=read.file, nodes=meant))
    return ExitCode.DONE


def _nodes_of(playbook: Playbook, nodes: NodeOptions, ssh: SshOptions, console: Console) -> tuple[NodeName, ...] | None:
    """The nodes that it is for; None: none are named. `UsageError` for what is no node, or a minimum above them."""
    if not (nodes.names_nodes or playbook.hosts):
        return None
    cluster = cluster_context(nodes_meant(nodes, playbook), ssh, console)
    if not playbook.pool:
        minimum_of(playbook, cluster.candidates.nodes)
    return cluster.candidates.nodes


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
