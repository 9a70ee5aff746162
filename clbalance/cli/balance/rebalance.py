"""Carry out `rebalance`: its pools of nodes, the decision, and what is done."""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clbalance.cli.balance.rebalance_report import Deeds, planned_deeds, report_of
from clbalance.cli.cluster import Workplace, ssh_transport, workplace
from clbalance.cli.console import Screen
from clbalance.cli.node_settings import levels_of
from clbalance.cli.options import NodeOptions, RebalanceOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.run.submission import input_of
from clbalance.engine.rebalance import Aim, Decision, carry_out, decide
from clbalance.engine.rebalance_facts import Pool
from clbalance.engine.run.start_queued import AsSubmitted
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.nodeset import Candidates, fold
from clbalance.policy.rebalance.values import Levels
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Deed, RebalanceReport, pool_heading, remarks
from clbalance.store.location import state_directory, this_machine
from clbalance.store.single_flight import single_flight
from clbalance.transport.reach import this_node
from clbalance.units import parse_duration


def rebalance_pools(nodes: NodeOptions, ssh: SshOptions, screen: Screen, options: RebalanceOptions) -> int:
    """The exit code of `clbalance rebalance`."""
    jitter_s = _checked(options)
    places = _places(nodes, ssh, screen)
    run = RebalanceRun(
        place=_whole(places, ssh),
        pools=_pools(places),
        levels=levels_of(places[0].settings, max_moves=options.max_moves, min_gain=options.min_gain),
        screen=screen,
        options=options,
        state=state_directory(os.environ, this_machine()).path,
    )
    if not options.apply:
        return run.look()
    with single_flight(run.state, "rebalance", waits_s=jitter_s):
        time.sleep(random.random() * jitter_s)
        return run.carry_out()


def _checked(options: RebalanceOptions) -> float:
    """The jitter, in seconds."""
    if options.apply and options.dry_run:
        raise UsageError("`--apply` and `--dry-run` together", hint="`--dry-run` shows what `--apply` would do")
    if options.max_moves is not None and options.max_moves < 0:
        raise UsageError(f"`--max-moves` cannot be {options.max_moves}", hint="how many jobs at most, 0 or more")
    if options.min_gain is not None and not 0 <= options.min_gain < float("inf"):
        raise UsageError(f"`--min-gain` cannot be {options.min_gain:g}", hint="a number, 0 or more")
    return 0.0 if options.jitter is None else parse_duration(options.jitter, "`--jitter`")


def _places(nodes: NodeOptions, ssh: SshOptions, screen: Screen) -> list[Workplace]:
    """One for each group, where nothing but groups was named."""
    groups = nodes.groups or []
    if len(groups) < 2 or nodes.nodes or nodes.everything:
        return [workplace(nodes, ssh, screen)]
    return [workplace(replace(nodes, groups=[group]), ssh, screen) for group in groups]


def _pools(places: Sequence[Workplace]) -> list[Pool]:
    """A node that is in several groups is leveled in the first of them."""
    pools: list[Pool] = []
    for place in places:
        taken = {node for pool in pools for node in pool.nodes}
        members = tuple(node for node in place.candidates.nodes if node not in taken)
        name = place.group or fold(place.candidates.nodes)
        pools.append(Pool(name=name, nodes=members, policy=place.policy))
    return pools


def _whole(places: Sequence[Workplace], ssh: SshOptions) -> Workplace:
    """All of their nodes; this machine is reached without ssh, for jobs that were run here."""
    first = places[0]
    nodes = tuple(dict.fromkeys(node for place in places for node in place.candidates.nodes))
    transport = ssh_transport(first.settings, ssh.ssh_options or (), here=frozenset({this_node()}))
    return replace(first, candidates=Candidates(nodes=nodes, excluded=()), transport=transport)


# One run of `rebalance`, shown or done: where its nodes, its memory and its outlets come from.


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceRun:
    """`place` has the nodes of all pools; `state` is the folder of what this host remembers."""

    place: Workplace
    pools: list[Pool]
    levels: Levels
    screen: Screen
    options: RebalanceOptions
    state: Path

    def look(self) -> int:
        """Show what would be done; nothing is changed but what is known of jobs that have ended."""
        with self.place.world(meanwhile="clbalance.engine.rebalance_facts") as world:
            decision = decide(world, self._aim(), counts=False)
        report = self._report(decision, planned_deeds(decision))
        self.screen.show(report)
        for pool in report.pools:
            self.screen.say(messages.note(pool_heading(pool)))
            for remark in remarks(pool):
                self.screen.say(messages.note(remark))
        return 0

    def carry_out(self) -> int:
        """Do it, and say nothing where there was nothing to do."""
        with self.place.world(meanwhile="clbalance.engine.migrate.migrate", must_remember=True) as world:
            decision = decide(world, self._aim(), counts=True)
            deeds = Deeds(world, self.screen, decision.scores)
            brought = AsSubmitted(question_of=self.place.question_of_job, input_of=input_of)
            carry_out(world, decision, brought, deeds)
            complete_outputs(world, self.screen)
        self.screen.show(self._report(decision, tuple(deeds.all)))
        return 0

    def _aim(self) -> Aim:
        return Aim(
            nodes=self.place.candidates.nodes,
            pools=self.pools,
            levels=self.levels,
            policy_of=lambda one: self.place.policy_as(one.group, one.policy),
            rng=self.place.rng,
            uid=os.geteuid(),
        )

    def _report(self, decision: Decision, deeds: tuple[Deed, ...]) -> RebalanceReport:
        return report_of(decision, deeds=deeds, confirm=self.levels.confirm, options=self.options)
