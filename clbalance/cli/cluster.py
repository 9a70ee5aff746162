"""Wires the context of one call from options, environment and settings: candidates, transport, store, policy."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.cli.kept_sessions import kept_if_wanted
from clbalance.cli.node_settings import named_group, result_groups
from clbalance.cli.options import NodeOptions, ReachOptions, SshOptions
from clbalance.cli.placement_remarks import tell_forced
from clbalance.cli.progress import SweepProgress
from clbalance.cli.requests import say_left_out, selection_of
from clbalance.cli.transfers import file_progress, file_transfers
from clbalance.cli.typed_settings import typed
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import JobLock, Journal, Store, Transport
from clbalance.render import messages
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.transport.reach import this_node
from clbalance.wiring.context import Context, SystemClock, plain_ssh
from clbalance.wiring.folders import working_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContext(Context):
    """The context of a verb, whose user is told on a console what happens."""

    console: Console
    ssh: ReachOptions
    groups_conf: Path | None
    """As typed, like `ssh`: another process makes the same context from them."""

    @contextlib.contextmanager
    def services(
        self,
        *,
        meanwhile: str = "clbalance.policy.placement.place",
        needs_store: bool = False,
        opened: tuple[Store, Journal] | None = None,
    ) -> Iterator[Services]:
        """The services of the engine. The store is closed at the end. For `meanwhile` see `SweepProgress`.

        `needs_store`: `StoreError` if there is no state database; else the journal is kept in memory. `opened`: a
        state database that is open already, and stays so.
        """
        with contextlib.ExitStack() as stack:
            stores = opened or stack.enter_context(open_store(self.console, needed=needs_store))
            services = replace(
                self.engine_services(stores, SweepProgress(self.console, meanwhile=meanwhile)),
                show_unfinished=self.console.outlets.show_unfinished,
                forced=partial(tell_forced, self.console),
                transfers=file_transfers,
                file_listener=partial(file_progress, self.console),
            )
            from clbalance.cli.complete.names import remember_names  # nodes are being connected to

            remember_names(self.groups, self.settings.nodes)
            yield services

    def warn(self, text: str) -> None:
        self.console.say(messages.warning(text))


def cluster_context(
    nodes: NodeOptions, ssh: SshOptions, console: Console, *, work_here: bool = False, policy: str | None = None
) -> ClusterContext:
    """The context of these options. Without nodes: all nodes, or this machine if no groups are configured.

    `work_here`: a job will run, so say on stderr if it runs on this machine; the user may have meant a cluster.
    `policy`: as typed.
    """
    settings = load_settings(os.environ, working_directory(), typed(ssh, nodes.groups_conf))
    cluster = ClusterContext.of(
        settings,
        selection_of(nodes),
        names_nodes=nodes.names_nodes,
        results=result_groups(nodes),
        transport=partial(ssh_transport, settings, ssh.ssh_options or ()),
        group=named_group(nodes),
        policy=policy,
        console=console,
        ssh=ssh,
        groups_conf=nodes.groups_conf,
    )
    if cluster.is_here and work_here:
        console.say(messages.note(f"no nodes named and no groups configured: running here, on {this_node()}"))
    say_left_out(cluster.candidates, console)
    return cluster


def ssh_transport(settings: Settings, options: Sequence[str], here: frozenset[NodeName] = frozenset()) -> Transport:
    """As `plain_ssh`, with sessions that are kept if this call is one of many."""
    ssh = settings.ssh
    transport = plain_ssh(settings, options, here)
    return kept_if_wanted(transport, SystemClock(), connect_s=ssh.connect_timeout_s, answer_s=ssh.probe_timeout_s)


def open_store(
    console: Console, *, needed: bool = False, lock: JobLock | None = None
) -> AbstractContextManager[tuple[Store, Journal]]:
    """As `open_state`; what the user should know is told on the console."""
    from clbalance.wiring.state import open_state  # nodes are being connected to: docs/design/startup.md

    return open_state(_StateTalk(console), needed=needed, lock=lock)


class _StateTalk:
    """Tells on a console what there is to know of the state database."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def moved(self, note: str) -> None:
        self._console.say(messages.note(note))

    def lost_jobs(self, first: int, last: int) -> None:
        self._console.complain(messages.jobs_lost(first, last))

    def without(self, reason: str) -> None:
        self._console.say(messages.warning(f"continuing without the state database: {reason}"))
