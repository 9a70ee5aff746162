"""Carry out `rebalance`: the pools that are meant, what is decided, what is done, and what is said of it."""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.chosen_levels import levels_of
from clbalance.cli.durations import parse_duration
from clbalance.cli.options import NodeOptions, RebalanceOptions, SshOptions
from clbalance.cli.rebalance_run import RebalanceRun
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import Workplace, ssh_transport, workplace
from clbalance.engine.rebalance import Pool
from clbalance.errors import UsageError
from clbalance.nodes import Candidates, fold
from clbalance.store.location import state_directory, this_machine
from clbalance.store.single_flight import single_flight
from clbalance.transport.reach import this_node


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
