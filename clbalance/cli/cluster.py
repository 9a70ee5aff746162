"""Wires the context of one call from options, environment and settings: candidates, transport, store, policy."""

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.cli.engines import engines_of
from clbalance.cli.kept_sessions import kept_if_wanted
from clbalance.cli.node_settings import (
    facts_by_node,
    labels_of_nodes,
    named_group,
    node_facts_entries,
    policy_in,
    result_groups,
    taints_of_nodes,
    working_directory,
)
from clbalance.cli.notify import notify
from clbalance.cli.option_values import ssh_options, ssh_words
from clbalance.cli.options import NodeOptions, ReachOptions, SshOptions
from clbalance.cli.placement_remarks import tell_forced
from clbalance.cli.progress import SweepProgress
from clbalance.cli.requests import Resources, check_names, say_left_out, selection_of
from clbalance.cli.transfers import file_progress, file_transfers
from clbalance.cli.typed_settings import typed
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request
from clbalance.model.job import Submitted
from clbalance.model.request import Constraints, HiddenGpus
from clbalance.node import agent_source, probe_script
from clbalance.nodeset import Candidates, NodeSets, candidates
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.ports import JobLock, Journal, SlurmNodes, Store, Transport
from clbalance.render import messages
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.transport.groups import ConfiguredGroups, load_groups
from clbalance.transport.reach import SshTransport, raise_file_limit, this_node

if TYPE_CHECKING:  # nodes are selected once they have answered
    from clbalance.policy.placement.select import Rng

_NO_THRESHOLDS = Thresholds(r1m_per_cpu=None, mem_available_pct=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContext:
    """The candidates, how to choose among them, and how to reach them."""

    settings: Settings
    candidates: Candidates
    policy: Policy
    transport: Transport
    rng: "Rng"
    console: Console
    is_here: bool
    """There is no cluster: this machine is the only node."""
    cpu_factors: Mapping[NodeName, float]
    slots: Mapping[NodeName, int]
    labels: Mapping[NodeName, Mapping[str, str]]
    taints: Mapping[NodeName, frozenset[str]]
    group: str | None
    """The named group, if it alone selects the nodes."""
    thresholds: Thresholds
    ssh: ReachOptions
    groups_conf: Path | None
    """As typed, like `ssh`: another process makes the same context from them."""
    groups: ConfiguredGroups | None

    def policy_as(self, group: str | None, typed: str | None) -> Policy:
        """The policy of a job that was submitted with this group and this `--policy`."""
        return policy_in(self.settings, self.thresholds, group, typed)

    def query_of_job(self, submitted: Submitted) -> PlacementQuery:
        """The query of a job that was submitted before: its own candidates and its own policy."""
        return PlacementQuery(
            candidates=submitted.candidates,
            request=submitted.request,
            policy=self.policy_as(submitted.group, submitted.policy),
            rng=self.rng,
        )

    def query(
        self,
        *,
        pick: int | None,
        resources: Resources,
        constraints: Constraints,
        name: str = "",
    ) -> PlacementQuery:
        """The query for `pick` copies (None: on all nodes that fit). `UsageError` for unknown names in constraints."""
        check_names(constraints, self.settings)
        request = Request(
            pick=pick,
            cpus=self.default_cpus if resources.cpus is None else resources.cpus,
            mem_bytes=resources.mem_bytes,
            tmp_bytes=resources.tmp_bytes,
            gpus=resources.gpus,
            gpu_share=resources.gpu_share,
            gpu_mem_bytes=resources.gpu_mem_bytes,
            slots=resources.slots,
            exclusive=resources.exclusive,
            limit_cpus=resources.limit_cpus,
            limit_mem_bytes=resources.limit_mem_bytes,
            needs_python=True,
            excluded=frozenset(self.candidates.excluded),
            name=name,
            constraints=constraints,
        )
        return self.query_of(request)

    @property
    def default_cpus(self) -> float:
        """The cpus to ask for if none were typed: 0 if this machine is the only node, for there is no better one."""
        return 0.0 if self.is_here else 1.0

    def query_of(self, request: Request) -> PlacementQuery:
        """The query of a request among all candidates."""
        return PlacementQuery(candidates=self.candidates.nodes, request=request, policy=self.policy, rng=self.rng)

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
        ssh = self.settings.ssh
        with contextlib.ExitStack() as stack:
            store, journal = opened or stack.enter_context(open_store(self.console, needed=needs_store))
            services = Services(
                transport=self.transport,
                store=store,
                journal=journal,
                clock=SystemClock(),
                listener=SweepProgress(self.console, meanwhile=meanwhile),
                probe_script=probe_script(),
                agent_source=agent_source,
                answer_within_s=ssh.connect_timeout_s + ssh.probe_timeout_s,
                step_within_s=ssh.probe_timeout_s,
                session_limit=raise_file_limit(),
                fail_point=fail_point(os.environ),
                show_unfinished=self.console.outlets.show_unfinished,
                grace_s=grace_s(os.environ),
                shortlist_age_s=self.settings.policy.shortlist_age_s,
                suspect_after=self.settings.policy.suspect_after,
                notify=notify,
                forced=partial(tell_forced, self.console),
                transfers=file_transfers,
                engine=engines_of(self.settings),
                file_listener=partial(file_progress, self.console),
            )
            from clbalance.cli.complete.names import remember_names  # nodes are being connected to

            remember_names(self.groups, self.settings.nodes)
            yield self.with_node_settings(services)

    def with_node_settings(self, services: Services) -> Services:
        """The services with what the settings say of single nodes."""
        return replace(
            services,
            cpu_factors=self.cpu_factors,
            slots=self.slots,
            labels=self.labels,
            taints=self.taints,
            hidden_gpus=HiddenGpus(self.settings.gpus.hide),
            slurm=self._slurm_nodes() if self.settings.slurm.nodes else None,
        )

    def _slurm_nodes(self) -> SlurmNodes:
        from clbalance.transport.programs.slurm import ScontrolNodes  # few clusters have both

        return ScontrolNodes(lambda text: self.console.say(messages.warning(text)))


def cluster_context(
    nodes: NodeOptions, ssh: SshOptions, console: Console, *, work_here: bool = False, policy: str | None = None
) -> ClusterContext:
    """The context of these options. Without nodes: all nodes, or this machine if no groups are configured.

    `work_here`: a job will run, so say on stderr if it runs on this machine; the user may have meant a cluster.
    `policy`: as typed.
    """
    settings = load_settings(os.environ, working_directory(), typed(ssh, nodes.groups_conf))
    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None, result_groups(nodes))
    sets = NodeSets(groups)
    entries = node_facts_entries(settings, sets)
    is_here = groups is None and not nodes.names_nodes
    if is_here:
        if work_here:
            console.say(messages.note(f"no nodes named and no groups configured: running here, on {this_node()}"))
        here = this_node()
        meant = Candidates(nodes=(here,), excluded=())
        transport = ssh_transport(settings, ssh.ssh_options or (), frozenset({here}))  # other jobs may be elsewhere
        thresholds = _NO_THRESHOLDS  # there is no other node to wait for
    else:
        meant, transport = candidates(selection_of(nodes), sets), ssh_transport(settings, ssh.ssh_options or ())
        say_left_out(meant, console)
        thresholds = Thresholds(**settings.thresholds)
    return ClusterContext(
        settings=settings,
        candidates=meant,
        policy=policy_in(settings, thresholds, named_group(nodes), policy),
        group=named_group(nodes),
        thresholds=thresholds,
        transport=transport,
        rng=random.Random(),
        console=console,
        is_here=is_here,
        cpu_factors=facts_by_node(entries, lambda facts: facts.cpu_factor),
        slots=facts_by_node(entries, lambda facts: facts.slots),
        labels=labels_of_nodes(entries),
        taints=taints_of_nodes(entries),
        ssh=ssh,
        groups_conf=nodes.groups_conf,
        groups=groups,
    )


def ssh_transport(settings: Settings, options: Sequence[str], here: frozenset[NodeName] = frozenset()) -> Transport:
    """A transport by ssh; nodes in `here` are reached without it. `UsageError` for bad ssh options."""
    ssh = settings.ssh
    ssh_words(ssh.path, "`ssh.path`")
    transport = SshTransport(
        path=ssh.path,
        options=all_ssh_options(settings, options),
        user=ssh.user or "",
        connect_timeout_s=ssh.connect_timeout_s,
        fanout=ssh.fanout,
        keep_s=ssh.control_persist_s,
        here=here,
    )
    return kept_if_wanted(transport, SystemClock(), connect_s=ssh.connect_timeout_s, answer_s=ssh.probe_timeout_s)


def all_ssh_options(settings: Settings, typed_options: Sequence[str]) -> str:
    """Those of `-o` before the configured ones: ssh takes the first value that it sees. `UsageError` for bad ones."""
    configured = ssh_options(settings.ssh.options, "`ssh.options`")
    return " ".join((*(ssh_options(one, "`-o`") for one in typed_options), configured))


@contextlib.contextmanager
def open_store(
    console: Console, *, needed: bool = False, lock: JobLock | None = None
) -> Iterator[tuple[Store, Journal]]:
    """The state database, or a substitute in memory: a full disk must not prevent a look at the load.

    If it is `needed`, `StoreError` instead: a job's number is useless when it is not recorded. Jobs that the database
    has lost are told, once. `lock`: of a job that another process has handed over.
    """
    from clbalance.store.state import SqliteStore  # nodes are being connected to: docs/design/startup.md

    with contextlib.ExitStack() as stack:
        store: Store
        journal: Journal
        try:
            place = state_directory(os.environ, this_machine())
            if place.note:
                console.say(messages.note(place.note))
            opened = stack.enter_context(SqliteStore.open(place.path))
            kept = stack.enter_context(contextlib.closing(opened.journal(lock)))
            if (lost := kept.lost_jobs()) is not None:
                console.complain(messages.jobs_lost(lost.first, lost.last))
            store, journal = opened, kept
        except StoreError as error:
            if needed:
                raise
            console.say(messages.warning(f"continuing without the state database: {error.message}"))
            from clbalance.store.in_memory import InMemoryStore
            from clbalance.store.in_memory_journal import InMemoryJournal

            store, journal = InMemoryStore(), InMemoryJournal()
        yield store, journal


def fail_point(environ: Mapping[str, str]) -> Callable[[str], None]:
    """For tests: kill this process at the point that `CLBALANCE_FAIL_AT` names (docs/design/jobs.md).

    With `:stop` after the name, stop it by SIGSTOP instead. With `:2`, only when the point is reached the second time.
    """
    named, _, how = environ.get("CLBALANCE_FAIL_AT", "").partition(":")
    number = signal.SIGSTOP if how == "stop" else signal.SIGKILL
    left = itertools.count(1 - int(how) if how.isdecimal() else 0)

    def pass_or_die(point: str) -> None:
        if point == named and next(left) >= 0:
            os.kill(os.getpid(), number)

    return pass_or_die


def grace_s(environ: Mapping[str, str]) -> float | None:
    """For tests on a busy machine: `CLBALANCE_GRACE_S` seconds for late nodes (docs/design/placement.md)."""
    text = environ.get("CLBALANCE_GRACE_S", "")
    return float(text) if text.isdecimal() else None


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)
