"""Carry out `rebalance`: find the pools of nodes, decide, and show or carry out the plan."""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clbalance.cli.balance.rebalance_report import ActionReporter, planned_actions, report_of
from clbalance.cli.cluster import ClusterContext, cluster_context, ssh_transport
from clbalance.cli.console import Console
from clbalance.cli.node_settings import levels_of
from clbalance.cli.options import NodeOptions, RebalanceOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.run.pending import submitted_inputs
from clbalance.engine.rebalance import RebalanceDecision, RebalanceRequest, carry_out, decide
from clbalance.engine.rebalance_facts import NodePool
from clbalance.errors import ExitCode, LockedError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.nodeset import Candidates, fold
from clbalance.policy.rebalance.values import BalanceSettings
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Action, RebalanceReport, pool_heading, remarks
from clbalance.store.location import state_directory, this_machine
from clbalance.store.single_flight import single_flight
from clbalance.transport.reach import this_node
from clbalance.units import parse_duration
from clbalance.wiring.chosen import queue_in_use, subjects_of


def rebalance_pools(nodes: NodeOptions, ssh: SshOptions, console: Console, options: RebalanceOptions) -> int:
    """The exit code of `clbalance rebalance`."""
    jitter_s = _checked(options)
    clusters = _clusters(nodes, ssh, console)
    run = RebalanceRun(
        cluster=_whole(clusters, ssh),
        pools=_pools(clusters),
        settings=levels_of(clusters[0].settings, max_moves=options.max_moves, min_gain=options.min_gain),
        console=console,
        options=options,
        state=state_directory(os.environ, this_machine()).path,
    )
    if not options.apply:
        return run.show_plan()
    time.sleep(random.random() * jitter_s)  # without the lock: who waits for its start holds up no other run
    try:
        with single_flight(run.state, "rebalance"):
            decision = run.carry_out()
    except LockedError as error:
        if console.quiet:  # under cron the next run follows
            return error.exit_code
        raise
    if subjects_of(run.cluster.settings):
        from clbalance.cli.balance.auto import choose_if_due  # few settings say `auto`

        choose_if_due(run.cluster.settings, decision.inputs.snapshot, run.state, console)
    return ExitCode.DONE


def _checked(options: RebalanceOptions) -> float:
    """The jitter in seconds. `UsageError` for options that are wrong or do not go together."""
    if options.apply and options.dry_run:
        raise UsageError("`--apply` and `--dry-run` together", hint="`--dry-run` shows what `--apply` would do")
    if options.max_moves is not None and options.max_moves < 0:
        raise UsageError(f"`--max-moves` cannot be {options.max_moves}", hint="how many jobs at most, 0 or more")
    if options.min_gain is not None and not 0 <= options.min_gain < float("inf"):
        raise UsageError(f"`--min-gain` cannot be {options.min_gain:g}", hint="a number, 0 or more")
    return 0.0 if options.jitter is None else parse_duration(options.jitter, "`--jitter`")


def _clusters(nodes: NodeOptions, ssh: SshOptions, console: Console) -> list[ClusterContext]:
    """One for each group, if only groups were named; else one for all nodes."""
    groups = nodes.groups or []
    if len(groups) < 2 or nodes.nodes or nodes.everything:
        return [cluster_context(nodes, ssh, console)]
    return [cluster_context(replace(nodes, groups=[group]), ssh, console) for group in groups]


def _pools(clusters: Sequence[ClusterContext]) -> list[NodePool]:
    """One pool for each cluster. A node in several groups belongs to the pool of the first."""
    pools: list[NodePool] = []
    for cluster in clusters:
        taken = {node for pool in pools for node in pool.nodes}
        members = tuple(node for node in cluster.candidates.nodes if node not in taken)
        name = cluster.group or fold(cluster.candidates.nodes)
        pools.append(NodePool(name=name, nodes=members, policy=cluster.policy))
    return pools


def _whole(clusters: Sequence[ClusterContext], ssh: SshOptions) -> ClusterContext:
    """One cluster with the nodes of all; this machine is reached without ssh, for jobs that were run here."""
    first = clusters[0]
    nodes = tuple(dict.fromkeys(node for cluster in clusters for node in cluster.candidates.nodes))
    transport = ssh_transport(first.settings, ssh.ssh_options or (), here=frozenset({this_node()}))
    return replace(first, candidates=Candidates(nodes=nodes, excluded=()), transport=transport)


# One run of `rebalance`, as a plan only or carried out.


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceRun:
    """`cluster` has the nodes of all pools; `state` is this host's state folder."""

    cluster: ClusterContext
    pools: list[NodePool]
    settings: BalanceSettings
    console: Console
    options: RebalanceOptions
    state: Path

    def show_plan(self) -> int:
        """Show what is done if the nodes stay as they are: now, or once their overload is confirmed. The exit code: 0.

        It changes nothing, apart from recording jobs that have ended.
        """
        with self.cluster.services(meanwhile="clbalance.engine.rebalance_facts", needs_store=True) as services:
            decision = decide(services, self._request(self._at_once), counts=False)
        report = self._report(decision, planned_actions(decision, confirm=self._confirm))
        self.console.show(report)
        if not report.actions:
            self.console.say(messages.note("nothing to start and nothing to move"))
        for pool in report.pools:
            self.console.say(messages.note(pool_heading(pool)))
            for remark in remarks(pool):
                self.console.say(messages.note(remark))
        return 0

    def carry_out(self) -> RebalanceDecision:
        """Carry out the plan and show what was done; silent if nothing was."""
        with self.cluster.services(meanwhile="clbalance.engine.migrate.migrate", needs_store=True) as services:
            settings = self._at_once if self.options.now else self.settings
            decision = decide(services, self._request(settings), counts=True)
            actions = ActionReporter(services, self.console, decision.scores)
            carry_out(services, decision, submitted_inputs(self.cluster), actions)
            complete_outputs(services, self.console)
        self.console.show(self._report(decision, tuple(actions.all)))
        return decision

    @property
    def _at_once(self) -> BalanceSettings:
        """Settings by which a node needs no confirmation."""
        return replace(self.settings, confirm=1)

    @property
    def _confirm(self) -> int:
        """In how many runs in a row a node must be overloaded before jobs are moved off."""
        return 1 if self.options.now else self.settings.confirm

    def _request(self, settings: BalanceSettings) -> RebalanceRequest:
        return RebalanceRequest(
            nodes=self.cluster.candidates.nodes,
            pools=self.pools,
            settings=settings,
            policy_of=lambda one: self.cluster.policy_as(one.group, one.policy),
            queue=queue_in_use(self.cluster.settings),
            rng=self.cluster.rng,
            uid=os.geteuid(),
        )

    def _report(self, decision: RebalanceDecision, actions: tuple[Action, ...]) -> RebalanceReport:
        return report_of(decision, actions=actions, confirm=self._confirm, options=self.options)
