"""The plan of a run: a sweep, the order of nodes, and the minimum that must be held."""

import random
from collections.abc import Mapping
from dataclasses import field, replace

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import TooFewLeftError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import Result
from clbalance.model.playbook import DrainNode, Playbook
from clbalance.policy.drain_progress import min_available_of
from clbalance.policy.play.order import NodePlace, order_of_turns
from clbalance.policy.play.schedule import batches, count_of
from clbalance.render.reports.play.plan import PlannedTurn, PlayPlan
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlay:
    """What is about to be done, and its report."""

    nodes: tuple[NodeName, ...]
    """In the order of turns."""
    pool: tuple[NodeName, ...]
    min_available: int | None
    report: PlayPlan
    rolls_back: int | None = None
    """The run that is rolled back."""
    registered: Mapping[NodeName, Mapping[str, Result]] = field(default_factory=dict)
    """The results that its steps have registered."""


def plan_play(
    cluster: ClusterContext, nodes: NodeOptions, ssh: SshOptions, services: Services, playbook: Playbook
) -> PlannedPlay:
    """Ask the nodes for their load, and decide the order. `TooFewLeftError` for a minimum that can never be held."""
    snapshot = take_snapshot(services, cluster.candidates.nodes)
    places = order_of_turns(snapshot, playbook.rollout.order, random.Random())
    pool = pool_of(cluster, nodes, ssh, playbook)
    minimum = minimum_of(playbook, pool)
    whys = {one.node: _why(one) for one in places}
    unknown = frozenset(one.node for one in places if one.level is None)
    return planned(playbook, whys, pool, minimum, cluster.settings.ssh.fanout, unknown=unknown)


def planned(
    playbook: Playbook,
    whys: Mapping[NodeName, str],
    pool: tuple[NodeName, ...],
    minimum: int | None,
    most_at_once: int,
    *,
    unknown: frozenset[NodeName] = frozenset(),
) -> PlannedPlay:
    """The plan with these nodes in this order, each with the reason of its place. `unknown`: those without a load."""
    nodes = tuple(whys)
    parts = _parts(playbook, nodes)
    window = playbook.rollout.window
    at_once = min(most_at_once, len(nodes) if window is None else count_of(window, len(nodes)))
    turns = tuple(
        PlannedTurn(node=node, part=parts.get(node, ""), why=why, is_known=node not in unknown)
        for node, why in whys.items()
    )
    report = PlayPlan(playbook=playbook, turns=turns, at_once=at_once, pool=len(pool), min_available=minimum)
    return PlannedPlay(nodes=nodes, pool=pool, min_available=minimum, report=report)


def minimum_of(playbook: Playbook, pool: tuple[NodeName, ...]) -> int | None:
    """`min_available` as a number of nodes."""
    share = playbook.rollout.min_available
    if share is None:
        return None
    minimum = min_available_of(share.number, is_pct=share.is_percent, pool=len(pool))
    drains = any(isinstance(step.action, DrainNode) for step in playbook.steps)
    if drains and minimum >= len(pool):
        raise TooFewLeftError(
            f"`min_available` can never be held: {minimum} of {counted(len(pool), 'node')} must stay available,"
            " so none can be drained",
            hint="a lower `min_available`, or a larger `pool`",
        )
    return minimum


def pool_of(cluster: ClusterContext, nodes: NodeOptions, ssh: SshOptions, playbook: Playbook) -> tuple[NodeName, ...]:
    """The nodes that `min_available` counts: as the playbook says; else all nodes that were named."""
    if playbook.rollout.min_available is None:
        return ()
    if not playbook.pool:
        return tuple(cluster.candidates.nodes)
    meant = replace(nodes, nodes=[playbook.pool], groups=None, everything=False, exclude=None, exclude_groups=None)
    return tuple(cluster_context(meant, ssh, cluster.console).candidates.nodes)


def _parts(playbook: Playbook, nodes: tuple[NodeName, ...]) -> dict[NodeName, str]:
    rollout = playbook.rollout
    canary = nodes[: count_of(rollout.canary.nodes, len(nodes))] if rollout.canary is not None else ()
    parts = dict.fromkeys(canary, "canary")
    if rollout.serial:
        rest = nodes[len(canary) :]
        for at, batch in enumerate(batches(rest, rollout.serial, len(nodes)), start=1):
            parts |= dict.fromkeys(batch, f"batch {at}")
    return parts


def _why(place: NodePlace) -> str:
    if place.level is None:
        return place.reason
    jobs = "" if place.jobs is None else ", no jobs" if not place.jobs else f", {counted(place.jobs, 'job')}"
    drained = f", drained: {place.drained}" if place.drained else ""
    return f"{place.reason}{jobs}{drained}"
