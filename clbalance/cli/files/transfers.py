"""What `copy` and `fetch` share: links to the nodes, and the question before anything is deleted."""

import sys
from collections.abc import Mapping
from typing import Final

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.files.options import FileOptions
from clbalance.cli.options import SshOptions
from clbalance.engine.files.transfers import Transfers
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.node import files_source
from clbalance.nodeset import fold
from clbalance.policy.files.plan import FilePlan
from clbalance.render import messages
from clbalance.render.text import escape_line
from clbalance.units import counted, parse_duration

IDLE_S: Final = 60.0
"""Without a byte that moves, unless `-u` says otherwise: a disk that is busy for others may take so long."""
_NAMED: Final = 5
"""Files that a question names."""


def transfers_of(cluster: ClusterContext, ssh: SshOptions) -> Transfers:
    """The links of one call."""
    settings, typed = cluster.settings.ssh, ssh.command_timeout
    return Transfers(
        cluster.transport,
        program=files_source(),
        within_s=settings.connect_timeout_s + settings.probe_timeout_s,
        idle_s=IDLE_S if typed is None else parse_duration(typed, "`-u`"),
    )


def check_consent(options: FileOptions) -> None:
    """`UsageError` if `--yes` makes no sense, or nobody can be asked before files are deleted."""
    if options.yes and not options.sync:
        raise UsageError("`--yes` is for `--sync`", hint="nothing else asks a question")
    if options.asks and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "`--sync` may delete files, and there is no terminal to ask",
            hint="`--dry-run` shows what it would do; `--yes` does it",
        )


def is_deletion_agreed(console: Console, plans: Mapping[NodeName, FilePlan]) -> bool:
    """Ask before anything is deleted. Nodes where the same would be deleted are in one line."""
    together: dict[tuple[str, ...], list[NodeName]] = {}
    for node, plan in plans.items():
        if plan.delete:
            together.setdefault(tuple(entry.path for entry in plan.delete), []).append(node)
    if not together:
        return True
    for paths, nodes in together.items():
        named = ", ".join(map(escape_line, paths[:_NAMED]))
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        what = counted(len(paths), "file")
        console.complain(messages.note(f"{fold(nodes)}: {what} would be deleted: {named}{more}"))
    sys.stderr.write("Delete them? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    console.complain(messages.note("nothing was changed"))
    return False


def deletable(plans: Mapping[NodeName, FilePlan], nodes: tuple[NodeName, ...]) -> Mapping[NodeName, frozenset[str]]:
    """What was agreed to: on nodes that did not answer then, nothing."""
    told = {node: frozenset(entry.path for entry in plan.delete) for node, plan in plans.items()}
    return {node: told.get(node, frozenset()) for node in nodes}
