"""Which nodes to start and to stop, by demand and by what was done before (docs/design/elastic.md). Pure.

Enters: a look at each node, the number of waiting jobs, the limits, what is remembered, and the time. Leaves: at most
one decision for each node, with its reason, and what to remember.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, floor, inf

from clbalance.lazy_dataclass import dataclass
from clbalance.model.elastic import (
    ElasticAction,
    ElasticLimits,
    ElasticNode,
    ElasticPast,
    ElasticPlan,
    Mark,
    NodeDecision,
    NodePast,
)
from clbalance.policy.elastic.past import after_look, charged
from clbalance.units import counted


def plan_elastic(
    nodes: Sequence[ElasticNode], waiting: int, limits: ElasticLimits, past: ElasticPast, now: float
) -> ElasticPlan:
    """The plan of one look. `nodes`: all of the pool; those that come first are started first and stopped last."""
    past = after_look(nodes, limits, past, now)
    pool = _Pool(nodes=tuple(nodes), waiting=waiting, limits=limits, past=past, now=now)
    since = (now if past.wanted_since is None else past.wanted_since) if pool.is_short else None
    past = replace(past, wanted_since=since)
    changes, remark = _starts(pool, since) if pool.below_floor or pool.is_short else _stops(pool)
    decisions = (*_came_up(pool), *_did_not_come(pool), *changes)
    return ElasticPlan(decisions=decisions, remark=remark, past=charged(past, decisions, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """One look at the pool, with what is remembered of it."""

    nodes: tuple[ElasticNode, ...]
    waiting: int
    limits: ElasticLimits
    past: ElasticPast
    now: float

    @property
    def serving(self) -> list[ElasticNode]:
        return [one for one in self.nodes if one.serves]

    @property
    def off(self) -> list[ElasticNode]:
        """Those that may be started. All others are on, coming, or not known to be off."""
        return [one for one in self.nodes if not one.is_up and self._is_off(self.past.nodes[one.node])]

    def _is_off(self, past: NodePast) -> bool:
        if past.started_at is not None:
            return self.age(past.started_at) >= self.limits.boot_s + self.limits.retry_s
        is_lost = past.stopped_at is None and past.up_at is not None
        return not is_lost or self.age(past.up_at) >= self.limits.boot_s

    @property
    def coming(self) -> int:
        """Nodes that will be in service soon."""
        return len(_came_up(self)) + sum(not one.is_up and self.is_booting(one) for one in self.nodes)

    def is_booting(self, one: ElasticNode) -> bool:
        return self.age(self.past.nodes[one.node].started_at) < self.limits.boot_s

    def is_late(self, one: ElasticNode) -> bool:
        return self.past.nodes[one.node].started_at is not None and not self.is_booting(one)

    @property
    def mean_load(self) -> float:
        """Of the nodes in service whose load is known."""
        known = [one.load for one in self.serving if one.load is not None]
        return sum(known) / len(known) if known else 0.0

    @property
    def below_floor(self) -> int:
        return max(0, self.limits.floor - len(self.serving) - self.coming)

    @property
    def is_short(self) -> bool:
        """Whether more nodes are wanted by demand, if that lasts."""
        return self.waiting > 0 or self.mean_load >= self.limits.busy

    @property
    def budget_left(self) -> int:
        past, window_s = self.past, self.limits.window_s
        spent = sum(self.age(at) < window_s for at in (*past.starts, *past.stops))
        return max(0, self.limits.actions - spent)

    def idle_s(self, one: ElasticNode) -> float:
        since = self.past.nodes[one.node].idle_since
        return -1.0 if since is None else self.now - since

    def age(self, at: float | None) -> float:
        """Seconds since then; without end for never."""
        return inf if at is None else self.now - at


# -- more nodes


def _starts(pool: _Pool, short_since: float | None) -> tuple[tuple[NodeDecision, ...], str]:
    """What is started, and why no more than that."""
    wanted, reason, held = pool.below_floor, f"below the floor of {pool.limits.floor}", ""
    if short_since is not None:
        held = _too_early(pool, short_since)
        by_demand = max(pool.waiting, _by_load(pool)) - pool.coming
        if not held and by_demand > wanted:
            wanted, reason = by_demand, _shortage(pool)
    on = len(pool.nodes) - len(pool.off)
    number, limited = _at_most(
        "start",
        wanted,
        ("the ceiling", pool.limits.ceiling - on),
        ("the budget", pool.budget_left),
        ("the number of nodes that are off", len(pool.off)),
    )
    started = tuple(NodeDecision(node=one.node, action=ElasticAction.START, reason=reason) for one in pool.off[:number])
    return started, held or limited or ("" if wanted else f"{counted(pool.coming, 'node')} coming")


def _too_early(pool: _Pool, short_since: float) -> str:
    """Why nothing is started yet; empty: it may be."""
    if (lasts_s := pool.age(short_since)) < pool.limits.start_after_s:
        return f"{_shortage(pool)} for {lasts_s:.0f} s, not yet for {pool.limits.start_after_s:g} s"
    return _unsettled(pool, "stop", pool.past.stops)


def _by_load(pool: _Pool) -> int:
    """So many nodes more that the mean load falls below `busy`."""
    if pool.mean_load < pool.limits.busy:
        return 0
    serving = len(pool.serving)
    return floor(pool.mean_load * serving / pool.limits.busy) + 1 - serving


def _shortage(pool: _Pool) -> str:
    if pool.waiting:
        return f"{counted(pool.waiting, 'job')} waiting"
    return f"mean load {pool.mean_load:.2f} per CPU"


# -- fewer nodes


def _stops(pool: _Pool) -> tuple[tuple[NodeDecision, ...], str]:
    """What is stopped, and why no more than that."""
    limits, serving = pool.limits, pool.serving
    idle = sorted(
        (one for one in reversed(serving) if pool.idle_s(one) >= limits.idle_s), key=pool.idle_s, reverse=True
    )
    if not idle:
        return (), f"{counted(len(serving), 'node')} in service, none idle for {limits.idle_s:g} s"
    if stuck := next((one.node for one in pool.nodes if one.is_up and one.mark is Mark.FAILED), ""):
        return (), f"nothing is stopped while {stuck} could not be: see why, then `clbalance resume {stuck}`"
    if unsettled := _unsettled(pool, "start", pool.past.starts):
        return (), unsettled
    number, limited = _at_most(
        "stop",
        len(idle),
        ("the floor", len(serving) - limits.floor),
        ("the load of the others", _dispensable(pool)),
        ("the budget", pool.budget_left),
    )
    stopped = tuple(
        NodeDecision(node=one.node, action=ElasticAction.STOP, reason=f"idle for {pool.idle_s(one):.0f} s")
        for one in idle[:number]
    )
    return stopped, limited


def _dispensable(pool: _Pool) -> int:
    """So many nodes can go that the mean load of those that stay is at most `calm`. An unknown load counts as busy."""
    serving = pool.serving
    total = sum(pool.limits.busy if one.load is None else one.load for one in serving)
    return len(serving) - ceil(total / pool.limits.calm)


# -- both


def _unsettled(pool: _Pool, what: str, earlier: Sequence[float]) -> str:
    """Why it is too early after a change in the other direction; empty: it is not."""
    since_s = pool.age(max(earlier, default=None))
    if since_s >= pool.limits.settle_s:
        return ""
    return f"the last {what} was {since_s:.0f} s ago, not yet {pool.limits.settle_s:g} s"


def _at_most(what: str, wanted: int, *limits: tuple[str, int]) -> tuple[int, str]:
    """The number that all limits allow, and the limit that says so."""
    name, least = min(limits, key=lambda one: one[1])
    number = max(0, min(wanted, least))
    return number, f"{name} allows {number} of {counted(wanted, what)}" if number < wanted else ""


# -- nodes that were started or drained


def _came_up(pool: _Pool) -> tuple[NodeDecision, ...]:
    """Nodes that an earlier run has drained, and that are not shutting down."""
    return tuple(
        NodeDecision(node=one.node, action=ElasticAction.RESUME, reason="it is up again")
        for one in pool.nodes
        if one.is_up and one.mark is Mark.OURS and pool.age(pool.past.nodes[one.node].stopped_at) >= pool.limits.boot_s
    )


def _did_not_come(pool: _Pool) -> tuple[NodeDecision, ...]:
    """Nodes that were started too long ago, unless they may be started again."""
    off = pool.off
    return tuple(
        NodeDecision(
            node=one.node, action=ElasticAction.FAILED, reason=f"it did not come up within {pool.limits.boot_s:g} s"
        )
        for one in pool.nodes
        if not one.is_up and one not in off and pool.is_late(one) and not pool.past.nodes[one.node].told
    )
