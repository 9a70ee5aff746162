"""What is remembered of a pool between two looks. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from clbalance.model.elastic import ElasticAction, ElasticLimits, ElasticNode, ElasticPast, NodeDecision, NodePast


def after_look(nodes: Iterable[ElasticNode], limits: ElasticLimits, past: ElasticPast, now: float) -> ElasticPast:
    """With what this look shows. Nodes that are no longer in the pool are forgotten, and what is older than all limits.

    Instants that are still to come, because a clock was set back, count as now.
    """
    kept_s = max(limits.window_s, limits.settle_s)
    nodes_past = {
        one.node: _seen(one, _by_now(past.nodes.get(one.node, NodePast()), now), limits, now) for one in nodes
    }
    return ElasticPast(
        wanted_since=_earlier(past.wanted_since, now),
        starts=tuple(min(at, now) for at in past.starts if now - at < kept_s),
        stops=tuple(min(at, now) for at in past.stops if now - at < kept_s),
        nodes=nodes_past,
    )


def charged(past: ElasticPast, decisions: Iterable[NodeDecision], now: float) -> ElasticPast:
    """With what is about to be done."""
    nodes, starts, stops = dict(past.nodes), past.starts, past.stops
    for decision in decisions:
        match decision.action:
            case ElasticAction.START:
                starts = (*starts, now)
                nodes[decision.node] = NodePast(started_at=now)
            case ElasticAction.STOP:
                stops = (*stops, now)
                nodes[decision.node] = NodePast(stopped_at=now)
            case ElasticAction.FAILED:
                nodes[decision.node] = replace(nodes[decision.node], told=True)
            case ElasticAction.RESUME:
                pass
            case _:
                assert_never(decision.action)
    return replace(past, starts=starts, stops=stops, nodes=nodes)


def _seen(one: ElasticNode, before: NodePast, limits: ElasticLimits, now: float) -> NodePast:
    if not one.is_up:
        return replace(before, idle_since=None)
    is_idle = one.serves and one.uses == 0 and one.r1m is not None and one.r1m < limits.idle_load
    idle_since = now if before.idle_since is None else before.idle_since
    return NodePast(
        up_at=now,
        idle_since=idle_since if is_idle else None,
        stopped_at=None if one.serves else before.stopped_at,
    )


def _by_now(past: NodePast, now: float) -> NodePast:
    return replace(
        past,
        up_at=_earlier(past.up_at, now),
        idle_since=_earlier(past.idle_since, now),
        started_at=_earlier(past.started_at, now),
        stopped_at=_earlier(past.stopped_at, now),
    )


def _earlier(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)
