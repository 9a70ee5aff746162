"""The context of one call: candidates, how to choose among them, how to reach them, and the services of the engine."""

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from clbalance.engine.services import PlacementQuery, Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Reading, Request, Unknown
from clbalance.model.job import Submitted
from clbalance.model.request import Constraints, HiddenGpus
from clbalance.node import agent_source, probe_script
from clbalance.nodeset import Candidates, NodeSets, Selection, candidates
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.ports import Journal, SlurmNodes, Store, SweepListener, Transport
from clbalance.settings.values import NO_TOPOLOGY, Settings
from clbalance.transport.group_sources import ResultGroups
from clbalance.transport.groups import ConfiguredGroups
from clbalance.transport.reach import SshTransport, raise_file_limit, this_node
from clbalance.wiring.node_settings import (
    facts_by_node,
    labels_of_nodes,
    node_facts_entries,
    policy_in,
    taints_of_nodes,
)
from clbalance.wiring.plugins.wanted import configured_groups, end_notifier, site_probe_of, thresholds_of, with_rules
from clbalance.wiring.requests import Resources, check_names
from clbalance.wiring.ssh_options import all_ssh_options, ssh_words

if TYPE_CHECKING:  # nodes are selected once they have answered
    from clbalance.policy.placement.select import Rng

_NO_THRESHOLDS = Thresholds(r1m_per_cpu=None, mem_available_pct=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The candidates, how to choose among them, and how to reach them."""

    settings: Settings
    candidates: Candidates
    policy: Policy
    transport: Transport
    rng: "Rng"
    is_here: bool
    """There is no cluster: this machine is the only node."""
    cpu_factors: Mapping[NodeName, float]
    slots: Mapping[NodeName, int]
    labels: Mapping[NodeName, Mapping[str, str]]
    taints: Mapping[NodeName, frozenset[str]]
    group: str | None
    """The named group, if it alone selects the nodes."""
    thresholds: Thresholds
    groups: ConfiguredGroups | None

    @classmethod
    def of(
        cls,
        settings: Settings,
        selection: Selection,
        *,
        names_nodes: bool,
        results: ResultGroups | None,
        transport: Callable[[frozenset[NodeName]], Transport],
        group: str | None,
        policy: str | None,
        **more: Any,
    ) -> Self:
        """The context for these nodes; this machine, if none are named and no groups are configured.

        `transport`: one that reaches the given nodes without ssh. `policy`: as typed. `more`: fields of a subclass.
        """
        groups = configured_groups(settings, results)
        sets = NodeSets(groups)
        entries = node_facts_entries(settings, sets)
        is_here = groups is None and not names_nodes
        if is_here:
            here = this_node()
            meant = Candidates(nodes=(here,), excluded=())
            reached = transport(frozenset({here}))  # other jobs may be elsewhere
            thresholds = _NO_THRESHOLDS  # there is no other node to wait for
        else:
            meant, reached = candidates(selection, sets), transport(frozenset())
            thresholds = thresholds_of(settings)
        made = cls(
            settings=settings,
            candidates=meant,
            policy=policy_in(settings, thresholds, group, policy),
            group=group,
            thresholds=thresholds,
            transport=reached,
            rng=random.Random(),
            is_here=is_here,
            cpu_factors=facts_by_node(entries, lambda facts: facts.cpu_factor),
            slots=facts_by_node(entries, lambda facts: facts.slots),
            labels=labels_of_nodes(entries),
            taints=taints_of_nodes(entries),
            groups=groups,
            **more,
        )
        ruled = with_rules(made.policy, settings, made.warn)
        return made if ruled is made.policy else replace(made, policy=ruled)

    def policy_as(self, group: str | None, typed: str | None) -> Policy:
        """The policy of a job that was submitted with this group and this `--policy`."""
        return with_rules(policy_in(self.settings, self.thresholds, group, typed), self.settings, self.warn)

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

    def engine_services(self, opened: tuple[Store, Journal], listener: SweepListener) -> Services:
        """The services of the engine, with an open state database."""
        services = services_in(self.settings, self.transport, opened, listener, self.warn)
        by_settings = replace(services, shortlist_age_s=self.settings.policy.shortlist_age_s, completed=self._completed)
        return self.with_node_settings(by_settings)

    def _completed(self, _: NodeName, reading: Reading) -> Reading:
        """Without a cluster, what `/proc` does not tell is read by psutil; not if the user has named another /proc."""
        main = (reading.run_queue, reading.cpus, reading.cpu_ticks, reading.memory)
        is_whole = not any(isinstance(part, Unknown) for part in main)
        if is_whole or not self.is_here or os.environ.get("CLBALANCE_PROCFS"):
            return reading
        from clbalance.wiring.own_machine import with_own_figures  # most machines have a /proc

        return with_own_figures(reading)

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
        from clbalance.transport.programs.slurm import ScontrolNodes, scontrol_of_process  # few clusters have both

        return ScontrolNodes(self.warn, scontrol_of_process())

    def warn(self, text: str) -> None:
        """A warning for the user. Nobody is told here."""


def services_in(
    settings: Settings,
    transport: Transport,
    opened: tuple[Store, Journal],
    listener: SweepListener,
    warn: Callable[[str], None],
) -> Services:
    """The services of the engine, without what the settings say of nodes. `warn`: gets warnings for the user."""
    from clbalance.wiring.engines import engines_of  # nodes are being connected to: docs/design/startup.md
    from clbalance.wiring.notify import notify

    ssh, site = settings.ssh, site_probe_of(settings)
    store, journal = opened
    return Services(
        transport=transport,
        store=store,
        journal=journal,
        clock=SystemClock(),
        listener=listener,
        probe_script=probe_script() if site is None else site.script(),
        site=site,
        agent_source=agent_source,
        answer_within_s=ssh.connect_timeout_s + ssh.probe_timeout_s,
        step_within_s=ssh.probe_timeout_s,
        session_limit=raise_file_limit(),
        fail_point=fail_point(os.environ),
        grace_s=grace_s(os.environ),
        suspect_after=settings.policy.suspect_after,
        fair_share=settings.queue.fair_share,
        half_life_s=settings.queue.half_life_s,
        job_ended=end_notifier(settings, warn),
        engine=engines_of(settings),
        notify=partial(notify, warn),
    )


def plain_ssh(settings: Settings, options: Sequence[str], here: frozenset[NodeName] = frozenset()) -> SshTransport:
    """A transport by ssh; nodes in `here` are reached without it. `UsageError` for bad ssh options."""
    ssh = settings.ssh
    ssh_words(ssh.path, "`ssh.path`")
    routes = None
    if ssh.topology != NO_TOPOLOGY:
        from clbalance.wiring.gateways import routes_of  # few clusters need gateways

        routes = routes_of(settings)
    return SshTransport(
        path=ssh.path,
        options=all_ssh_options(settings, options),
        user=ssh.user or "",
        connect_timeout_s=ssh.connect_timeout_s,
        fanout=ssh.fanout,
        keep_s=ssh.control_persist_s,
        here=here,
        routes=routes,
        gateway_python=ssh.gateway_python,
    )


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
