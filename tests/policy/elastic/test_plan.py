"""Which nodes are started and stopped: what always holds, and the cases of docs/design/elastic.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.elastic import (
    ElasticAction,
    ElasticLimits,
    ElasticNode,
    ElasticPast,
    ElasticPlan,
    Mark,
    NodePast,
)
from clbalance.policy.elastic.plan import plan_elastic

NOW = 1_000_000.0
LIMITS = ElasticLimits(floor=1, ceiling=4)
IDLE = NodePast(up_at=NOW, idle_since=NOW - 900)


def up(name: str, *, uses: int | None = 0, load: float | None = 0.0, mark: Mark = Mark.NONE) -> ElasticNode:
    """Of one CPU."""
    return ElasticNode(node=name, uses=uses, r1m=load, load=load, mark=mark)


def off(name: str) -> ElasticNode:
    return ElasticNode(node=name, is_up=False)


def planned(
    *nodes: ElasticNode,
    waiting: int = 0,
    limits: ElasticLimits = LIMITS,
    wanted_s: float = 120.0,
    starts: Sequence[float] = (),
    stops: Sequence[float] = (),
    **before: NodePast,
) -> ElasticPlan:
    past = ElasticPast(wanted_since=NOW - wanted_s, starts=tuple(starts), stops=tuple(stops), nodes=before)
    return plan_elastic(nodes, waiting, limits, past, NOW)


def named(plan: ElasticPlan, action: ElasticAction) -> list[str]:
    return [decision.node for decision in plan.decisions if decision.action is action]


# -- what always holds

_MARKS = st.sampled_from(list(Mark))
_INSTANTS = st.none() | st.floats(NOW - 10_000, NOW + 100)
_NODES = st.builds(
    ElasticNode,
    node=st.just(""),
    is_up=st.booleans(),
    mark=_MARKS,
    uses=st.none() | st.integers(0, 2),
    r1m=st.none() | st.floats(0, 2),
    load=st.none() | st.floats(0, 2),
)
_PASTS = st.builds(
    NodePast,
    up_at=_INSTANTS,
    idle_since=_INSTANTS,
    started_at=_INSTANTS,
    stopped_at=_INSTANTS,
    told=st.booleans(),
)


@st.composite
def looks(draw: st.DrawFn) -> tuple[list[ElasticNode], int, ElasticLimits, ElasticPast]:
    nodes = [replace(one, node=f"node{at}") for at, one in enumerate(draw(st.lists(_NODES, min_size=1, max_size=8)))]
    least = draw(st.integers(0, len(nodes)))
    limits = ElasticLimits(
        floor=least,
        ceiling=draw(st.integers(least, len(nodes))),
        actions=draw(st.integers(0, 5)),
        idle_s=draw(st.sampled_from([0.0, 900.0])),
        settle_s=draw(st.sampled_from([0.0, 300.0, 7200.0])),
        start_after_s=draw(st.sampled_from([0.0, 120.0])),
    )
    instants = st.lists(st.floats(NOW - 8_000, NOW + 100), max_size=4).map(tuple)
    past = ElasticPast(
        wanted_since=draw(_INSTANTS),
        starts=draw(instants),
        stops=draw(instants),
        nodes={one.node: draw(_PASTS) for one in nodes if draw(st.booleans())},
    )
    return nodes, draw(st.integers(0, 3)), limits, past


@given(looks())
def test_no_node_with_a_job_a_mark_or_an_unknown_state_is_ever_stopped(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    nodes, waiting, limits, past = look
    by_name = {one.node: one for one in nodes}
    plan = plan_elastic(nodes, waiting, limits, past, NOW)
    for name in named(plan, ElasticAction.STOP):
        one = by_name[name]
        assert one.serves
        assert one.uses == 0
        assert one.r1m is not None
        assert one.r1m < limits.idle_load


@given(looks())
def test_stops_never_go_below_the_floor_and_never_while_jobs_wait(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    nodes, waiting, limits, past = look
    stopped = named(plan_elastic(nodes, waiting, limits, past, NOW), ElasticAction.STOP)
    if stopped:
        assert sum(one.serves for one in nodes) - len(stopped) >= limits.floor
        assert waiting == 0


@given(looks())
def test_starts_never_go_above_the_ceiling_and_only_silent_nodes_are_started(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    nodes, waiting, limits, past = look
    started = named(plan_elastic(nodes, waiting, limits, past, NOW), ElasticAction.START)
    if started:
        assert sum(one.is_up for one in nodes) + len(started) <= limits.ceiling
    assert {one.node for one in nodes if not one.is_up} >= set(started)


@given(looks())
def test_the_budget_is_never_passed_and_what_is_done_is_charged(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    nodes, waiting, limits, past = look
    plan = plan_elastic(nodes, waiting, limits, past, NOW)
    done = len(named(plan, ElasticAction.START)) + len(named(plan, ElasticAction.STOP))
    spent = [at for at in (*plan.past.starts, *plan.past.stops) if NOW - at < limits.window_s]
    if done:
        assert len(spent) <= limits.actions
    assert sum(at == NOW for at in spent) >= done
    assert all(at <= NOW for at in spent)


@given(looks())
def test_a_node_has_one_task_and_nothing_is_both_started_and_stopped(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    nodes, waiting, limits, past = look
    plan = plan_elastic(nodes, waiting, limits, past, NOW)
    decisions = [decision.node for decision in plan.decisions]
    assert len(decisions) == len(set(decisions))
    assert not (named(plan, ElasticAction.START) and named(plan, ElasticAction.STOP))
    assert plan.decisions or plan.remark


@given(looks())
def test_the_same_look_again_does_nothing_twice(
    look: tuple[list[ElasticNode], int, ElasticLimits, ElasticPast],
) -> None:
    """As after a crash between the decision and its actions: what was charged is not decided anew at once."""
    nodes, waiting, limits, past = look
    limits = replace(limits, settle_s=300.0)
    first = plan_elastic(nodes, waiting, limits, past, NOW)
    again = plan_elastic(nodes, waiting, limits, first.past, NOW)
    assert not set(named(first, ElasticAction.START)) & set(named(again, ElasticAction.START))
    if limits.idle_s:
        assert not set(named(first, ElasticAction.STOP)) & set(named(again, ElasticAction.STOP))


# -- over time


@dataclass
class Site:
    """Nodes that come up `boot_looks` looks after their start, and a demand that does not change."""

    jobs: int
    """Each fills a node, and never ends."""
    shared_load: float
    """Spread over the nodes in service, beside the jobs."""
    running: set[str]
    others: set[str]
    past: ElasticPast = field(default_factory=ElasticPast)
    with_jobs: set[str] = field(default_factory=set)
    booting: dict[str, int] = field(default_factory=dict)

    def look(self, limits: ElasticLimits, now: float) -> ElasticPlan:
        for name in [name for name, looks in self.booting.items() if looks == 0]:
            self.running.add(name)
            del self.booting[name]
        self.booting = {name: looks - 1 for name, looks in self.booting.items()}
        free = sorted(self.running - self.with_jobs)
        self.with_jobs |= set(free[: self.jobs - len(self.with_jobs)])
        waiting = self.jobs - len(self.with_jobs)
        share = self.shared_load / max(1, len(self.running))
        nodes = [
            up(name, uses=int(name in self.with_jobs), load=share + (name in self.with_jobs))
            if name in self.running
            else off(name)
            for name in sorted(self.running | self.others)
        ]
        plan = plan_elastic(nodes, waiting, limits, self.past, now)
        self.past = plan.past
        for name in named(plan, ElasticAction.START):
            self.booting[name] = 2
        stopped = set(named(plan, ElasticAction.STOP))
        assert not stopped & self.with_jobs
        self.running -= stopped
        self.others |= stopped
        return plan


@given(
    jobs=st.integers(0, 12),
    shared_load=st.floats(0, 12),
    running=st.integers(0, 10),
    least=st.integers(0, 3),
    most=st.integers(3, 10),
)
def test_under_constant_demand_nodes_are_either_started_or_stopped_and_then_nothing_changes(
    jobs: int, shared_load: float, running: int, least: int, most: int
) -> None:
    names = [f"node{at}" for at in range(10)]
    limits = ElasticLimits(floor=least, ceiling=most, settle_s=0.0, actions=100)
    site = Site(jobs=jobs, shared_load=shared_load, running=set(names[:running]), others=set(names[running:]))
    actions: list[ElasticAction] = []
    late: list[ElasticAction] = []
    for minute in range(240):
        found = [decision.action for decision in site.look(limits, NOW + 60.0 * minute).decisions]
        actions += found
        late += found if minute >= 120 else []
    assert not {ElasticAction.START, ElasticAction.STOP} <= set(actions)
    assert not late


# -- cases


def test_a_waiting_job_starts_a_node_once_it_has_waited_long_enough() -> None:
    plan = planned(up("a"), off("b"), waiting=1)
    assert [(decision.node, decision.action, decision.reason) for decision in plan.decisions] == [
        ("b", ElasticAction.START, "1 job waiting")
    ]
    early = planned(up("a"), off("b"), waiting=1, wanted_s=60.0)
    assert (early.decisions, early.remark) == ((), "1 job waiting for 60 s, not yet for 120 s")


def test_a_demand_that_was_interrupted_begins_anew() -> None:
    quiet = planned(up("a"), off("b"))
    assert quiet.past.wanted_since is None
    again = plan_elastic([up("a"), off("b")], 1, LIMITS, quiet.past, NOW + 60)
    assert (again.decisions, again.past.wanted_since) == ((), NOW + 60)


def test_load_starts_so_many_nodes_that_the_mean_falls_below_busy() -> None:
    plan = planned(up("a", load=1.5, uses=1), up("b", load=1.5, uses=1), off("c"), off("d"), off("e"))
    assert named(plan, ElasticAction.START) == ["c", "d"]
    assert plan.decisions[0].reason == "mean load 1.50 per CPU"


def test_below_the_floor_nodes_are_started_at_once() -> None:
    plan = planned(off("a"), off("b"), limits=replace(LIMITS, floor=2), wanted_s=0.0, stops=[NOW - 1])
    assert named(plan, ElasticAction.START) == ["a", "b"]
    assert plan.decisions[0].reason == "below the floor of 2"


def test_a_node_that_is_coming_counts_as_started() -> None:
    plan = planned(up("a"), off("b"), off("c"), waiting=1, b=NodePast(started_at=NOW - 60))
    assert (plan.decisions, plan.remark) == ((), "1 node coming")
    two = planned(up("a"), off("b"), off("c"), waiting=2, b=NodePast(started_at=NOW - 60))
    assert named(two, ElasticAction.START) == ["c"]


def test_a_node_that_does_not_come_up_is_told_once_and_another_is_started() -> None:
    before = NodePast(started_at=NOW - 600)
    plan = planned(up("a"), off("b"), off("c"), waiting=1, b=before)
    assert named(plan, ElasticAction.FAILED) == ["b"]
    assert named(plan, ElasticAction.START) == ["c"]
    again = plan_elastic([up("a"), off("b"), off("c")], 0, LIMITS, plan.past, NOW + 60)
    assert not again.decisions


def test_a_node_that_did_not_come_up_counts_for_the_ceiling_until_it_is_tried_again() -> None:
    limits = replace(LIMITS, ceiling=2)
    lost = planned(up("a"), off("b"), off("c"), waiting=1, limits=limits, b=NodePast(started_at=NOW - 700, told=True))
    assert (lost.decisions, lost.remark) == ((), "the ceiling allows 0 of 1 start")
    late = planned(up("a"), off("b"), off("c"), waiting=1, limits=limits, b=NodePast(started_at=NOW - 4200, told=True))
    assert named(late, ElasticAction.START) == ["b"]


def test_a_node_in_service_that_falls_silent_is_not_started_at_once() -> None:
    lost = planned(up("a"), off("b"), waiting=1, b=NodePast(up_at=NOW - 60))
    assert (lost.decisions, lost.remark) == ((), "the number of nodes that are off allows 0 of 1 start")
    assert named(planned(up("a"), off("b"), waiting=1, b=NodePast(up_at=NOW - 600)), ElasticAction.START) == ["b"]
    stopped = NodePast(up_at=NOW - 60, stopped_at=NOW - 120)
    assert named(planned(up("a"), off("b"), waiting=1, b=stopped), ElasticAction.START) == ["b"]


def test_a_node_is_stopped_once_it_was_idle_long_enough_the_longest_idle_first() -> None:
    older = NodePast(up_at=NOW, idle_since=NOW - 1800)
    plan = planned(up("a"), up("b"), up("c", uses=1, load=0.0), a=IDLE, b=older)
    assert [(decision.node, decision.reason) for decision in plan.decisions] == [
        ("b", "idle for 1800 s"),
        ("a", "idle for 900 s"),
    ]
    early = planned(up("a"), up("b"), a=NodePast(idle_since=NOW - 899))
    assert (early.decisions, early.remark) == ((), "2 nodes in service, none idle for 900 s")


@pytest.mark.parametrize(
    "busy",
    [up("b", uses=1), up("b", uses=None), up("b", load=None), up("b", load=0.5)],
    ids=["a job", "leases unknown", "load unknown", "load without a job"],
)
def test_a_node_that_is_not_known_to_be_idle_stays(busy: ElasticNode) -> None:
    assert not planned(up("a"), busy, limits=replace(LIMITS, floor=0, calm=0.89), b=IDLE).decisions


def test_a_stop_leaves_the_others_calm() -> None:
    plan = planned(up("a", uses=1, load=0.8), up("b"), limits=replace(LIMITS, floor=0), b=IDLE)
    assert (plan.decisions, plan.remark) == ((), "the load of the others allows 0 of 1 stop")


def test_after_a_change_in_the_other_direction_it_waits() -> None:
    late = planned(up("a"), up("b"), b=IDLE, starts=[NOW - 60])
    assert (late.decisions, late.remark) == ((), "the last start was 60 s ago, not yet 300 s")
    soon = planned(up("a"), off("b"), waiting=1, stops=[NOW - 60])
    assert (soon.decisions, soon.remark) == ((), "the last stop was 60 s ago, not yet 300 s")


def test_the_budget_and_the_ceiling_say_what_they_do_not_allow() -> None:
    spent = planned(up("a"), off("b"), waiting=1, limits=replace(LIMITS, actions=2), starts=[NOW - 900] * 2)
    assert (spent.decisions, spent.remark) == ((), "the budget allows 0 of 1 start")
    over = planned(up("a"), off("b"), waiting=1, limits=replace(LIMITS, actions=2), starts=[NOW - 3600] * 2)
    assert named(over, ElasticAction.START) == ["b"]
    full = planned(up("a"), up("b", mark=Mark.OTHER), off("c"), waiting=1, limits=replace(LIMITS, ceiling=2))
    assert (full.decisions, full.remark) == ((), "the ceiling allows 0 of 1 start")


def test_a_node_that_we_drained_and_that_is_up_again_is_resumed() -> None:
    ours = up("b", mark=Mark.OURS)
    by_hand = planned(up("a"), ours)
    assert [(decision.node, decision.action) for decision in by_hand.decisions] == [("b", ElasticAction.RESUME)]
    assert not planned(up("a"), ours, b=NodePast(stopped_at=NOW - 60)).decisions, "it is still shutting down"
    assert named(planned(up("a"), ours, b=NodePast(stopped_at=NOW - 600)), ElasticAction.RESUME) == ["b"]
    assert not named(planned(up("a"), ours, off("c"), waiting=1), ElasticAction.START), (
        "it is enough for the job that waits"
    )


def test_after_a_stop_that_failed_nothing_else_is_stopped_and_the_node_is_left_as_it_is() -> None:
    plan = planned(up("a"), up("b", mark=Mark.FAILED), up("c"), c=IDLE)
    said = "nothing is stopped while b could not be: see why, then `clbalance resume b`"
    assert (plan.decisions, plan.remark) == ((), said)


def test_a_clock_that_was_set_back_does_not_stop_everything() -> None:
    plan = planned(up("a"), off("b"), waiting=1, wanted_s=-5000.0, b=NodePast(started_at=NOW + 5000))
    assert (plan.past.wanted_since, plan.past.nodes["b"].started_at) == (NOW, NOW)


def test_nodes_that_left_the_pool_are_forgotten() -> None:
    plan = planned(up("a"), gone=IDLE)
    nodes: Mapping[str, NodePast] = plan.past.nodes
    assert set(nodes) == {"a"}
