"""The replay of a history by one policy, day by day, and the load of others on the nodes."""

from random import Random

import pytest

from clbalance.model import Measured, NodeName, Request, RunQueue, Snapshot
from clbalance.model.trace import Arrival, Trace
from clbalance.policy.backtest.days import DAY_S, backtest_of
from clbalance.policy.backtest.history import History, backtest
from clbalance.policy.backtest.others import OwnUse, with_load_of_others
from clbalance.policy.backtest.values import FIELDS, DayFigures
from clbalance.policy.backtest.written import Progress, choice_of, progress_of, to_text
from clbalance.policy.placement.policies import KINDS
from clbalance.trace.nodes import idle_node
from tests.policy.build import NOW, sweep

N1 = NodeName("n1")


def arrival(submit_s: float, duration_s: float | None, cpus: float = 1.0) -> Arrival:
    request = Request(pick=1, cpus=cpus, slots=0)
    return Arrival(job="j", submit_s=submit_s, duration_s=duration_s, estimate_s=duration_s, request=request)


def idle(*cpus: int) -> Snapshot:
    return sweep(*(idle_node(NodeName(f"n{at}"), cpus=count, mem_bytes=1000) for at, count in enumerate(cpus, 1)))


def history(*arrivals: Arrival, until_s: float, cpus: int = 4) -> History:
    return History(cluster=idle(cpus), trace=Trace(arrivals=arrivals), until_s=until_s)


def test_jobs_count_on_the_day_of_their_submission_counted_back_from_the_end() -> None:
    trace = Trace(
        arrivals=(arrival(0, 10), arrival(5, 10), arrival(DAY_S, 100), arrival(DAY_S, None), arrival(DAY_S, 9))
    )
    found = backtest_of("easy", trace, {0: 0.0, 1: 20.0, 2: DAY_S, 3: DAY_S}, 1.5 * DAY_S)
    assert found.days == (DayFigures(1, 2, 1.0 + 2.5, 2.5), DayFigures(0, 1, 1.0, 1.0))
    assert found.started == 4


def test_the_same_replay_as_that_of_the_verb_gives_the_figures() -> None:
    of_two = history(arrival(0, 100, 4.0), arrival(1, 1000, 4.0), arrival(2, 10, 4.0), until_s=10.0)
    sjf, easy = (backtest(of_two, "queue", name, other="least", rng=Random(1)) for name in ("sjf", "easy"))
    assert [day.worst for day in easy.days] == [(1100 - 2 + 10) / 10]
    assert sjf.days[0].sum < easy.days[0].sum
    pack = backtest(of_two, "placement", "pack", other="easy", rng=Random(1))
    assert (pack.policy, pack.days) == ("pack", easy.days)


def test_every_policy_is_tried_but_the_baselines_and_those_of_which_a_replay_knows_too_little() -> None:
    assert set(FIELDS["placement"].names) == set(KINDS) - {"random", "rr"} - {"foresee", "risk"}
    assert all({one.default, one.reference} <= set(one.names) for one in FIELDS.values())
    assert FIELDS["queue"].reordering == {"sjf", "priority"}


def test_the_newest_days_are_a_part_of_the_history() -> None:
    whole = history(arrival(0, 1), arrival(DAY_S, 1), arrival(2 * DAY_S, 1), until_s=2.5 * DAY_S)
    assert whole.days == 3
    assert [one.submit_s for one in whole.newest(2).trace.arrivals] == [DAY_S, 2 * DAY_S]
    assert (whole.newest(2).days, history(until_s=0.0).days) == (2, 0)


def load_on(snapshot: Snapshot, name: NodeName = N1) -> float:
    (answer,) = [one for one in snapshot.answers if one.node == name]
    assert isinstance(answer, Measured)
    queue = answer.reading.run_queue
    assert isinstance(queue, RunQueue)
    return queue.r1m


def test_the_load_of_others_is_what_our_own_jobs_do_not_explain() -> None:
    own = [OwnUse(node=N1, cpus=2.0, start_s=-500.0, end_s=50.0), OwnUse(node=N1, cpus=1.0, start_s=50.0, end_s=None)]
    loaded = with_load_of_others(idle(4, 4), {N1: (0.5, 0)}, own, 100.0)
    assert load_on(loaded) == pytest.approx(0.5 * 4 - (2.0 * 50 + 1.0 * 50) / 100)
    assert load_on(loaded, NodeName("n2")) == 0.0


def test_the_load_of_others_leaves_room_for_what_has_run_there() -> None:
    own = [OwnUse(node=N1, cpus=3.0, start_s=0.0, end_s=1.0)]
    loaded = with_load_of_others(idle(4), {N1: (2.0, 0)}, own, 1000.0)
    assert load_on(loaded) == 1.0
    full = History(cluster=loaded, trace=Trace(arrivals=(arrival(0, 10, 3.0), arrival(0, 10, 4.0))), until_s=1.0)
    assert backtest(full, "queue", "easy", other="least", rng=Random(1)).started == 1
    assert load_on(with_load_of_others(idle(4), {N1: (0.1, 0)}, own, 1.0)) == 0.0
    assert load_on(with_load_of_others(idle(4), {N1: (0.5, 7)}, own, 7.0)) == 1.0, "a history that has just begun"


def test_what_is_kept_comes_back_and_what_makes_no_sense_is_nothing() -> None:
    progress = Progress(
        until=NOW, days=9, spent_s=1.5, done={"queue/easy": backtest_of("easy", Trace(arrivals=()), {}, 0.0)}
    )
    assert progress_of(to_text(progress)) == progress
    assert progress_of(None) is None
    assert choice_of(to_text(progress)) is None
    unknown = '{"subject":"queue","policy":"none","before":"easy","at":"2026-11-30T12:00:00Z","reason":""}'
    assert choice_of(unknown) is None
    assert choice_of(unknown.replace("none", "fcfs")) is not None
