"""What is moved, where to, what stays, and why."""

from dataclasses import dataclass, field, replace

import pytest

from clbalance.errors import SettingsError
from clbalance.model import Allocation, Answer, Cause, NodeName, Qos, Request, Unknown
from clbalance.model.request import Constraints
from clbalance.model.slurm import SlurmNode
from clbalance.policy.placement.policies import LEAST, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.rebalance.candidates import candidates_of
from clbalance.policy.rebalance.leveling import Balancing, Chain
from clbalance.policy.rebalance.levels import Pool
from clbalance.policy.rebalance.plan import missing_confirmations
from clbalance.policy.rebalance.search import best_chain, best_migration
from clbalance.policy.rebalance.values import BalanceSettings, Departure, RunningJob
from clbalance.policy.rebalance.what_if import Step, WhatIf, migration_order
from tests.policy.build import ME, NOW, SHE, UPTIME_S, drain, gpu, lease, node, silent, sweep, unreadable

from .cases import EVERYTHING, a_job, a_node, over, planned

USUAL = BalanceSettings()
AT_ONCE = BalanceSettings(confirm=1)


def moves_of(
    nodes: list[Answer], jobs: list[RunningJob], settings: BalanceSettings = EVERYTHING
) -> list[tuple[int, str, str]]:
    return [(move.job, move.src, move.dst) for move in planned(sweep(*nodes), jobs, settings).migrations]


def crowd(on: str = "a", count: int = 4, **more: object) -> list[RunningJob]:
    return [a_job(number, on, **more) for number in range(count)]  # type: ignore[arg-type]


IN_SLURM = SlurmNode(node=NodeName("n"), state="MIXED", flags=frozenset({"DRAIN"}))
NAMED = replace(lease(), allocation=Allocation(name="x"))


@dataclass
class Case:
    moves: list[tuple[int, str, str]]
    jobs: list[RunningJob]
    a: dict[str, object] = field(default_factory=dict)
    b: dict[str, object] = field(default_factory=dict)
    settings: BalanceSettings = EVERYTHING


def two(first: int, second: int) -> list[tuple[int, str, str]]:
    return [(first, "a", "b"), (second, "a", "b")]


CASES = {
    "half of what is on one of two goes to the other, the youngest first": Case(two(3, 2), crowd()),
    "nothing goes where nothing is gained": Case([], [a_job(1, "a"), a_job(2, "b")]),
    "one job alone stays where it is": Case([], crowd(count=1)),
    "one job alone leaves a stranger's load": Case([(0, "a", "b")], crowd(count=1), a={"foreign": 2.0}),
    "a stranger's load keeps jobs away": Case([(3, "a", "b")], crowd(), b={"foreign": 2.0}),
    "a faster node takes more": Case([(3, "a", "b"), (2, "a", "b"), (1, "a", "b")], crowd(), b={"factor": 3.0}),
    "a larger node takes more": Case([(3, "a", "b"), (2, "a", "b"), (1, "a", "b")], crowd(), b={"cpus": 12}),
    "a job that is not marked is never touched": Case([], crowd(why_not_migratable="not marked")),
    "a job never goes back": Case([], crowd(earlier_nodes=frozenset({"b"}))),
    "a job stays where it has come to lately": Case([], crowd(migrated_s_ago=1799.0), settings=AT_ONCE),
    "and may go on after that": Case(two(3, 2), crowd(migrated_s_ago=1800.0), settings=AT_ONCE),
    "not more than `max_moves`": Case(two(3, 2)[:1], crowd(), settings=replace(AT_ONCE, max_moves=1)),
    "nothing at all with `max_moves` 0": Case([], crowd(), settings=replace(AT_ONCE, max_moves=0)),
    "nothing for less than `min_gain`": Case([], crowd(), settings=replace(AT_ONCE, min_gain=0.3)),
    "for just `min_gain`": Case(two(3, 2), crowd(), settings=replace(AT_ONCE, min_gain=0.25)),
    "nothing while a node is not far above the mean": Case([], crowd(count=2), settings=AT_ONCE),
    "nothing below `high`": Case([], crowd(), settings=replace(AT_ONCE, deviation=None, high=1.0)),
    "something above `high`": Case(two(3, 2), crowd(), settings=replace(AT_ONCE, deviation=None, high=0.9)),
    "something above `high`, however small the deviation": Case(
        two(3, 2), crowd(), settings=replace(AT_ONCE, deviation=5.0, high=0.9)
    ),
    "nothing where neither is set": Case([], crowd(), settings=replace(AT_ONCE, deviation=None)),
    "only up to `low`": Case(two(3, 2)[:1], crowd(), settings=replace(AT_ONCE, low=0.2)),
    "what takes nothing is not moved": Case([], crowd(cpus=0.0)),
    "what takes nothing that was measured is not moved": Case([], crowd(cpus=0.0, used=0.0)),
    "BestEffort jobs are moved by what they use": Case(two(3, 2), crowd(cpus=0.0, used=1.0)),
    "Guaranteed jobs are not moved": Case([], crowd(qos=Qos.GUARANTEED), settings=AT_ONCE),
    "Guaranteed jobs are moved where that is allowed": Case(
        two(3, 2), crowd(qos=Qos.GUARANTEED), settings=replace(AT_ONCE, guaranteed=True)
    ),
    "BestEffort goes before Burstable, and that before Guaranteed": Case(
        [(1, "a", "b"), (3, "a", "b")],
        [
            a_job(1, "a", 0.0, used=1.0),
            a_job(2, "a", 1.0),
            a_job(3, "a", 1.0, used=1.1),
            a_job(4, "a", 1.0, qos=Qos.GUARANTEED),
        ],
    ),
    "a drained node takes nothing": Case([], crowd(), b={"drains": (drain(),)}),
    "a drained node is left to `drain`": Case([], crowd(), a={"drains": (drain(),)}),
    "a node that Slurm has drained takes nothing": Case([], crowd(), b={"slurm": IN_SLURM}),
    "a node that Slurm has drained is left alone": Case([], crowd(), a={"slurm": IN_SLURM}),
    "a node that is allocated whole takes nothing": Case([], crowd(), b={"leases": [lease(exclusive=True)]}),
    "a lease that cannot be read is one of the whole node": Case([], crowd(), b={"leases": [unreadable()]}),
    "no job without what it asks for": Case([], crowd(request=Request(gpus=1))),
    "jobs with GPUs go where GPUs are": Case(
        two(3, 2), crowd(request=Request(gpus=1)), b={"gpus": (gpu(0), gpu(1), gpu(2))}
    ),
    "not more GPUs than there are": Case(two(3, 2)[:1], crowd(request=Request(gpus=1)), b={"gpus": (gpu(0),)}),
    "not more memory than there is": Case(two(3, 2)[:1], crowd(request=Request(mem_bytes=500_000))),
    "not to a node that is none of its candidates": Case(
        [], crowd(request=Request(excluded=frozenset({NodeName("b")})))
    ),
    "not beside whom it keeps apart from": Case(
        [], crowd(request=Request(constraints=Constraints(apart=("x",)))), b={"leases": [NAMED]}
    ),
    "two that exchange their places": Case(
        [(1, "a", "b"), (2, "b", "a")], [a_job(1, "a", 2.0), a_job(2, "b", 1.0)], {"foreign": 1.5}, {"foreign": 0.5}
    ),
    "nobody is exchanged where there is no room on the way": Case(
        [], [a_job(1, "a", 3.0), a_job(2, "b", 2.0)], a={"foreign": 2.0}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_two_nodes(case: Case) -> None:
    assert (
        moves_of(
            [a_node("a", case.jobs, **case.a), a_node("b", case.jobs, **case.b)],  # type: ignore[arg-type]
            case.jobs,
            case.settings,
        )
        == case.moves
    )


def test_a_plan_says_why_and_what_it_brings() -> None:
    jobs = [a_job(number, "node3") for number in range(7)]
    nodes = [a_node("node3", jobs), a_node("node7", foreign=1.0), silent("node8"), a_node("node9", drains=(drain(),))]
    plan = planned(sweep(*nodes), jobs, AT_ONCE)
    assert [(move.job, move.dst, round(move.gain, 3), move.reason) for move in plan.migrations] == [
        (6, "node7", 0.25, "load per cpu: node3 1.75, node7 0.25, mean 1.00"),
        (5, "node7", 0.25, "load per cpu: node3 1.50, node7 0.50, mean 1.00"),
        (4, "node7", 0.25, "load per cpu: node3 1.25, node7 0.75, mean 1.00"),
    ]
    assert [round(value, 4) for value in (plan.score_before, plan.score_after, plan.bound)] == [0.75, 0.0, 1.0]
    assert [(one.node, one.over) for one in plan.levels] == [
        ("node3", True),
        ("node7", False),
        ("node8", False),
        ("node9", False),
    ]
    assert [round(one.after, 3) for one in plan.levels if isinstance(one.after, float)] == [1.0, 1.0, 0.0]
    assert plan.levels[2].before == Unknown(reason="hung: no answer in 5 s")


def test_the_largest_level_of_a_chain_falls_and_each_job_names_the_others() -> None:
    jobs = [a_job(1, "a", 2.0), a_job(2, "b", 1.0)]
    plan = planned(sweep(a_node("a", jobs, foreign=1.5), a_node("b", jobs, foreign=0.5)), jobs)
    assert [move.reason for move in plan.migrations] == [
        "load per cpu: a 0.88, b 0.38, mean 0.62; together with job 2",
        "load per cpu: b 0.88, a 0.38, mean 0.62; together with job 1",
    ]
    assert [move.gain for move in plan.migrations] == [pytest.approx(0.125, abs=1e-6)] * 2


STAYS = {
    "not marked `--requeue`": crowd(count=1, why_not_migratable="not marked `--requeue`"),
    "moved 60 s ago; it is not moved again within 1800 s": crowd(count=1, migrated_s_ago=60.0),
    "moved 0 s ago; it is not moved again within 1800 s": crowd(count=1, migrated_s_ago=-5.0),
    "it did not checkpoint in time 60 s ago; it is not moved again within 1800 s": crowd(
        count=1, migrated_s_ago=60.0, missed_checkpoint=True
    ),
    "its QoS is Guaranteed, and `[rebalance] guaranteed` is false": crowd(count=1, qos=Qos.GUARANTEED),
    "it has no cpus allocated and uses none": crowd(count=1, cpus=0.0),
    "it has run before on every node where moving it would help": crowd(count=1, earlier_nodes=frozenset({"b"})),
    "the nodes where moving it would help are not among those it was submitted for": crowd(
        count=1, not_committed=frozenset({"b"})
    ),
    "it fits on no less loaded node: b (too few GPUs free)": crowd(count=1, request=Request(gpus=1)),
    "moving it would gain less than `--min-gain`": crowd(count=1, cpus=0.01),
    "this run may move no more jobs (`--max-moves`)": crowd(count=1),
}


@pytest.mark.parametrize(("reason", "jobs"), STAYS.items(), ids=STAYS.keys())
def test_a_job_that_stays_says_why(reason: str, jobs: list[RunningJob]) -> None:
    settings = replace(AT_ONCE, max_moves=0 if "--max-moves" in reason else 5)
    plan = planned(sweep(a_node("a", jobs, foreign=4.0), a_node("b")), jobs, settings)
    assert [(job.job, message) for job, message in plan.stays] == [(0, reason)]


def test_a_place_that_is_missing_is_told_of_a_node_that_it_was_submitted_for() -> None:
    jobs = crowd(count=1, request=Request(gpus=1), not_committed=frozenset({"b"}))
    plan = planned(sweep(a_node("a", jobs, foreign=4.0), a_node("b"), a_node("c")), jobs, AT_ONCE)
    assert [message for _, message in plan.stays] == ["it fits on no less loaded node: c (too few GPUs free)"]


def test_where_every_node_has_as_much_there_is_nowhere_to_go() -> None:
    jobs = crowd(count=1)
    settings = replace(AT_ONCE, high=0.5, low=0.3)
    plan = planned(sweep(a_node("a", jobs, foreign=3.0), a_node("b", foreign=3.9)), jobs, settings)
    assert [message for _, message in plan.stays] == ["no other node is less loaded"]


def test_only_a_job_whose_lease_was_seen_is_moved() -> None:
    jobs = crowd(count=1)
    plan = planned(sweep(a_node("a", foreign=4.0), a_node("b")), jobs, AT_ONCE)
    assert [message for _, message in plan.stays] == ["a shows no lease of it"]
    lost = [replace(jobs[0], node=NodeName("gone"))]
    assert planned(sweep(a_node("a", foreign=4.0), a_node("b")), lost, AT_ONCE).migrations == ()


def test_without_a_key_a_lease_is_known_by_name_and_cpus_and_is_of_one_job_only() -> None:
    jobs = crowd(count=1)
    nameless = [replace(jobs[0], key=""), replace(jobs[0], key="", job=7)]
    nodes = [a_node("a", jobs, foreign=4.0, leases=[unreadable(uid=ME)]), a_node("b")]
    assert moves_of(nodes, nameless, AT_ONCE) == [(0, "a", "b")]


def test_a_node_is_left_alone_until_it_was_over_often_enough() -> None:
    jobs = crowd()
    nodes = sweep(a_node("a", jobs), a_node("b"))
    assert over(nodes, USUAL) == {"a"}
    for times, count in ((0, 0), (1, 0), (2, 0), (3, 2), (4, 2)):
        plan = planned(nodes, jobs, USUAL, times_over={"a": times})
        assert len(plan.migrations) == count
        assert plan.levels[0].over


def test_what_is_put_on_a_node_by_the_plan_itself_may_go_on_without_being_confirmed() -> None:
    jobs = [a_job(1, "a", 3.0), a_job(2, "b", 1.0)]
    nodes = sweep(a_node("a", jobs, foreign=3.0), a_node("b", jobs, foreign=1.0), a_node("c", foreign=2.5))
    settings = replace(EVERYTHING, confirm=2)
    plan = planned(nodes, jobs, settings, times_over={"a": 2})
    assert {(move.job, move.dst) for move in plan.migrations} == {(1, "b"), (2, "c")}


def test_a_sweep_that_is_too_old_moves_nothing_and_counts_nothing() -> None:
    jobs = crowd()
    old = sweep(a_node("a", jobs), a_node("b"), age_s=61.0)
    assert over(old) == frozenset()
    assert planned(old, jobs).migrations == ()


def test_nodes_without_a_load_are_told_with_the_reason_and_take_nothing() -> None:
    jobs = crowd()
    nodes = [a_node("a", jobs), node("b", r1m=None), node("c", leases=None), silent("d", Cause.DNS, "")]
    plan = planned(sweep(*nodes), jobs)
    assert plan.migrations == ()
    assert [one.before.reason for one in plan.levels if isinstance(one.before, Unknown)] == [
        "run queue: not told",
        "leases: not told",
        "name not resolved",
    ]


def test_a_pool_of_no_nodes_is_level() -> None:
    plan = planned(sweep(), crowd())
    assert (plan.migrations, plan.score_before, plan.score_after, plan.bound) == ((), 0.0, 0.0, 0.0)


def test_what_has_just_left_does_not_count() -> None:
    """A job of 4 cpus left a node ten seconds ago after an hour: its run queue still shows 3.4 of them."""
    jobs = [a_job(1, "b")]
    shown = 4.0 * 0.8465
    nodes = sweep(a_node("a", foreign=shown), a_node("b", jobs), a_node("c"))
    left = Departure(node=NodeName("a"), cpus=4.0, age_s=3600.0, seconds_ago=10.0)
    elsewhere = Departure(node=NodeName("gone"), cpus=4.0, age_s=-1.0, seconds_ago=-1.0)
    assert over(nodes, USUAL) == {"a"}
    assert over(nodes, USUAL, [left, elsewhere]) == frozenset()
    plan = planned(nodes, jobs, departures=[left])
    assert plan.levels[0].cpus == pytest.approx(0.0, abs=0.01)
    assert planned(sweep(silent("a"), node("c")), jobs, departures=[left]).migrations == ()
    assert planned(sweep(node("a", r1m=None), node("c")), jobs, departures=[left]).migrations == ()


def test_a_node_that_is_past_its_threshold_only_by_what_has_left_takes_jobs() -> None:
    jobs = crowd()
    nodes = sweep(a_node("a", jobs), a_node("b", foreign=4.5))
    left = Departure(node=NodeName("b"), cpus=4.5, age_s=3600.0, seconds_ago=0.0)
    assert planned(nodes, jobs).migrations == ()
    assert len(planned(nodes, jobs, departures=[left]).migrations) == 2


def test_what_a_job_uses_above_its_promise_goes_along_as_far_as_its_node_shows_it() -> None:
    jobs = [a_job(1, "a", 1.0, used=3.0), a_job(2, "a", 1.0)]
    plan = planned(sweep(a_node("a", jobs), a_node("b")), jobs)
    assert [one.after for one in plan.levels] == [pytest.approx(0.25, abs=1e-3), pytest.approx(0.75, abs=1e-3)]
    quiet = replace(
        a_node("a", jobs), reading=replace(a_node("a", jobs).reading, run_queue=node("a", r1m=2.0).reading.run_queue)
    )
    plan = planned(sweep(quiet, a_node("b")), jobs)
    assert [one.after for one in plan.levels] == [pytest.approx(0.25, abs=1e-3)] * 2


def test_no_lease_counts_for_more_than_its_node_has() -> None:
    huge = lease(cpus=1e9)
    plan = planned(sweep(a_node("a", leases=[huge]), a_node("b")), [])
    assert plan.levels[0].before == pytest.approx(1.0)


def test_a_target_counts_what_the_plan_has_put_there() -> None:
    """Each of two sources could put three jobs on the third; together they must not."""
    jobs = [*(a_job(number, "a", 1.5) for number in range(3)), *(a_job(number + 3, "b", 1.5) for number in range(3))]
    nodes = [a_node("a", jobs, cpus=5), a_node("b", jobs, cpus=5), a_node("c", cpus=4)]
    moves = moves_of(nodes, jobs)
    assert [dst for _, _, dst in moves] == ["c", "c"]


def test_one_large_job_is_not_chased_from_node_to_node() -> None:
    """Wherever it is its node is over; it goes only where that is much better."""
    jobs = [a_job(1, "a", 3.0)]
    assert moves_of([a_node("a", jobs, foreign=0.4), a_node("b")], jobs, AT_ONCE) == []
    assert moves_of([a_node("a", jobs, foreign=1.2), a_node("b")], jobs, AT_ONCE) == [(1, "a", "b")]


def test_advice_is_for_owners_of_the_largest_leases_on_confirmed_nodes() -> None:
    of_hers = [
        replace(
            lease(cpus=cpus, uid=SHE, age_s=6000.0),
            allocation=Allocation(cpus=cpus, name=name, uptime_s=UPTIME_S - 6000),
        )
        for cpus, name in ((1.0, "small"), (2.0, "mid"), (3.0, ""), (1.5, "more"), (0.0, "idle"))
    ]
    plan = planned(sweep(a_node("a", leases=[*of_hers, lease(uid=ME, cpus=2.0)]), a_node("b")), [], AT_ONCE)
    assert [(one.uid, one.node, one.name, one.cpus) for one in plan.advice] == [
        (SHE, "a", "k", 3.0),
        (SHE, "a", "mid", 2.0),
        (SHE, "a", "more", 1.5),
    ]
    takes, then = plan.advice[0].text.split("; ")
    assert "3 cpus of a: if it was submitted with `--requeue` or `--checkpoint`, its owner's `clbalance reb" in takes
    assert then == "else submit the next one so"


def test_there_is_never_more_advice_than_can_be_read() -> None:
    nodes = [a_node(f"n{at}", leases=[lease(cpus=4.0, uid=2000 + at, age_s=6000.0)]) for at in range(30)]
    idle = [a_node(f"z{at}") for at in range(30)]
    plan = planned(sweep(*nodes, *idle), [], AT_ONCE)
    assert len(plan.advice) == 20
    assert "4 cpus" in plan.advice[0].text


BAD = {
    "negative": {"deviation": -0.1},
    "without end": {"high": float("inf")},
    "no number": {"min_gain": float("nan")},
    "confirm 0": {"confirm": 0},
    "low above high": {"low": 2.0, "high": 1.0},
}


@pytest.mark.parametrize("settings", BAD.values(), ids=BAD.keys())
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        BalanceSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("wait", [0, 1, 10_000])
def test_chains_are_looked_for_as_long_as_patience_lasts(wait: int) -> None:
    jobs = [a_job(1, "a", 2.0), a_job(2, "b", 1.0)]
    pool = Pool.of(sweep(a_node("a", jobs, foreign=1.5), a_node("b", jobs, foreign=0.5)), (), LEAST, NOW)
    movers, _ = candidates_of(pool, jobs, EVERYTHING, ME)
    field = Balancing(pool, movers, EVERYTHING, LEAST, NOW)
    field.wait = wait
    assert (best_chain(field, NodeName("a"), 2) is not None) is (wait > 1)


def a_ring(count: int, cpus: int) -> tuple[list[Step], WhatIf]:
    """Each job goes to the next node, where there is no room before that one's job has gone, but on the last."""
    jobs = [a_job(at, f"n{at:02}", 4.0) for at in range(count)]
    nodes = [a_node(f"n{at:02}", jobs) for at in range(count)]
    pool = Pool.of(sweep(*nodes, a_node("z", cpus=cpus)), (), LEAST, NOW)
    movers, _ = candidates_of(pool, jobs, EVERYTHING, ME)
    names = [*(f"n{at:02}" for at in range(1, count)), "z"]
    return [(mover, NodeName(name)) for mover, name in zip(movers, names, strict=True)], WhatIf.of(pool, LEAST, NOW)


@pytest.mark.parametrize("count", [3, 12])
def test_each_goes_when_there_is_room_for_it_whatever_order_was_wanted(count: int) -> None:
    steps, rooms = a_ring(count, cpus=4)
    assert migration_order(steps, rooms) == tuple(reversed(steps))
    steps, rooms = a_ring(count, cpus=2)
    assert migration_order(steps, rooms) is None


def test_where_one_never_finds_room_no_order_of_the_others_helps() -> None:
    jobs = [a_job(at, f"n{at:02}", 4.0) for at in range(4)]
    pool = Pool.of(sweep(*(a_node(job.node, jobs) for job in jobs), a_node("y"), a_node("z")), (), LEAST, NOW)
    movers, _ = candidates_of(pool, jobs, EVERYTHING, ME)
    steps = [(mover, NodeName(name)) for mover, name in zip(movers[:3], ("y", "z", "n03"), strict=True)]
    assert migration_order(steps, WhatIf.of(pool, LEAST, NOW)) is None


def test_who_was_to_go_stays_where_others_do_better() -> None:
    """Job 1 is asked first, for it uses more than it was promised; then it turns out that job 0 alone is enough."""
    jobs = [a_job(0, "a", 3.0), a_job(1, "a", 1.0, used=2.0)]
    nodes = sweep(a_node("a", jobs), a_node("b", cpus=8, foreign=1.0))
    plan = planned(nodes, jobs, policy=policy_named("least", thresholds=Thresholds(r1m_per_cpu=None)))
    assert [(move.job, move.dst) for move in plan.migrations] == [(0, "b")]


def test_those_that_find_no_room_behind_others_go_before_them() -> None:
    jobs = [
        a_job(0, "a", 0.0, used=1.3),
        a_job(1, "a", 0.0, used=1.3),
        a_job(2, "a", 0.3, used=0.5),
        a_job(3, "a", 3.0),
    ]
    nodes = sweep(a_node("a", jobs), a_node("b", factor=2.0, foreign=2.0))
    plan = planned(nodes, jobs, policy=policy_named("least", thresholds=Thresholds(r1m_per_cpu=None)))
    assert {move.job for move in plan.migrations} == {0, 1, 2}
    assert max(one.after for one in plan.levels if isinstance(one.after, float)) == pytest.approx(0.75)


@pytest.mark.parametrize(("wait", "goes_on"), [(0, False), (100, True)])
def test_a_job_goes_on_from_where_it_was_put_as_long_as_patience_lasts(wait: int, goes_on: bool) -> None:
    jobs = crowd()
    pool = Pool.of(sweep(a_node("a", jobs), a_node("b"), a_node("c")), (), LEAST, NOW)
    movers, _ = candidates_of(pool, jobs, EVERYTHING, ME)
    field = Balancing(pool, movers, EVERYTHING, LEAST, NOW)
    first = best_migration(field, NodeName("a"))
    assert first is not None
    field.take(first)
    field.wait = wait
    ((mover, _),) = first.steps
    order = field.order_with([(mover, NodeName("c"))])
    assert (order == ((mover, "c"),)) is goes_on
    if order is not None:
        field.take(Chain(NodeName("b"), ((mover, NodeName("c")),), 0.1, order))
        assert field.what_if.unfit(mover, NodeName("b")) is None
        assert [field.level[NodeName(name)] for name in "abc"] == pytest.approx([0.75, 0.0, 0.25])


@pytest.mark.parametrize(
    ("times", "confirm", "missing"), [(1, 3, 2), (2, 3, 1), (3, 3, 0), (7, 3, 0), (1, 1, 0)], ids=str
)
def test_a_move_waits_for_as_many_runs_as_its_source_lacks(times: int, confirm: int, missing: int) -> None:
    over_lately = {NodeName("a"): times, NodeName("b"): 0, NodeName("c"): confirm}
    assert missing_confirmations(NodeName("a"), over_lately, confirm) == missing
    assert missing_confirmations(NodeName("c"), over_lately, confirm) == 0


def test_a_source_that_only_the_plan_overloads_waits_for_all_that_are_overloaded() -> None:
    over_lately = {NodeName("a"): 1, NodeName("b"): 0, NodeName("c"): 2}
    assert missing_confirmations(NodeName("b"), over_lately, 3) == 2
    assert missing_confirmations(NodeName("b"), {NodeName("b"): 0}, 3) == 0
