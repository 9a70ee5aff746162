"""The choice of a day: once, within its budget, and where a killed process stopped it goes on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from clbalance.engine.backtest.daily_choice import ChoiceInputs, choose_daily
from clbalance.model import Request
from clbalance.model.trace import Arrival, Trace
from clbalance.policy.backtest.history import History
from clbalance.policy.backtest.values import FIELDS, Choice, Subject
from clbalance.policy.backtest.written import PROGRESS, progress_of
from clbalance.policy.queue.processors import Processors
from clbalance.store.in_memory import InMemoryStore

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY_S = 86_400.0
QUEUES = len(FIELDS["queue"].names)


def history(days: int, seed: int = 1) -> History:
    """Ten jobs a day on four processors; a long one before short ones, so that the order matters."""
    rng = Random(seed)
    arrivals = []
    for day in range(days):
        for at in range(10):
            run_s = rng.choice([10.0, 100.0, 5_000.0])
            request = Request(pick=rng.randint(1, 4))
            arrivals.append(
                Arrival(job="j", submit_s=day * DAY_S + at, duration_s=run_s, estimate_s=run_s, request=request)
            )
    return History(
        cluster=Processors(count=4), trace=Trace(arrivals=tuple(arrivals)), until_s=(days - 1) * DAY_S + 60.0
    )


class Killed(BaseException):
    """The process is gone."""


class DyingStore(InMemoryStore):
    """The process dies before choices get to it, if it shall."""

    dies = False

    def keep_choices(self, contents: Mapping[str, str]) -> None:
        if self.dies and "placement" in contents:
            raise Killed
        super().keep_choices(contents)


class Host:
    """A store, and what one process after the other makes of it."""

    def __init__(self, *, days: int = 10, step_s: float = 0.0, budget_s: float = 60.0) -> None:
        self.store = DyingStore()
        self.days, self.step_s, self.budget_s = days, step_s, budget_s
        self.replays, self.seed = 0, 1
        self.fixed: dict[Subject, str] = {}
        self.die_at: int | None = None
        self._cpu_s = 0.0

    def choose(self, now: datetime = NOON, subjects: tuple[Subject, ...] = ("queue",)) -> list[Choice]:
        inputs = ChoiceInputs(
            subjects=subjects,
            fixed=self.fixed,
            history_until=lambda until: history(self.days, self.seed),
            rng=self._rng,
            cpu_s=self._passed,
            budget_s=self.budget_s,
        )
        return choose_daily(self.store, inputs, now)

    def _rng(self) -> Random:
        """A replay begins."""
        if self.replays == self.die_at:
            self.die_at = None
            raise Killed
        self.replays += 1
        return Random(1)

    def _passed(self) -> float:
        """Each look at the clock takes `step_s`."""
        self._cpu_s += self.step_s
        return self._cpu_s

    @property
    def spent_s(self) -> float:
        progress = progress_of(self.store.choice(PROGRESS))
        assert progress is not None
        return progress.spent_s


def test_a_choice_is_made_once_a_day() -> None:
    host = Host()
    (first,) = host.choose()
    assert (first.at, first.days, first.jobs) == (NOON, 10, 100)
    assert {one.policy for one in first.evidence} == set(FIELDS["queue"].names)
    assert host.choose(NOON + timedelta(hours=11)) == []
    (second,) = host.choose(NOON + timedelta(hours=13))
    assert (second.before, host.replays) == (first.policy, 2 * QUEUES)


def test_a_clock_that_was_set_back_makes_another_day() -> None:
    host = Host()
    host.choose()
    (again,) = host.choose(NOON - timedelta(days=400))
    assert again.at == NOON - timedelta(days=400)


def test_both_subjects_are_chosen_one_after_the_other() -> None:
    assert [one.subject for one in Host().choose(subjects=("queue", "placement"))] == ["queue", "placement"]


@pytest.mark.parametrize("days", [0, 1, 6])
def test_a_history_that_says_too_little_gives_the_default(days: int) -> None:
    (choice,) = Host(days=days).choose()
    assert (choice.policy, choice.evidence) == ("priority", ())
    assert "7 days are needed" in choice.reason


@pytest.mark.parametrize("at", range(QUEUES))
def test_what_a_killed_process_had_replayed_is_not_replayed_again(at: int) -> None:
    (whole,) = Host().choose()
    host = Host()
    host.die_at = at
    with pytest.raises(Killed):
        host.choose()
    assert host.store.choice("queue") is None
    (choice,) = host.choose(NOON + timedelta(minutes=5))
    assert (choice, host.replays) == (whole, QUEUES)


def test_both_choices_are_kept_or_none() -> None:
    both: tuple[Subject, ...] = ("queue", "placement")
    host = Host()
    host.store.dies = True
    with pytest.raises(Killed):
        host.choose(subjects=both)
    assert [host.store.choice(one) for one in both] == [None, None]
    host.store.dies, replays = False, host.replays
    assert [one.before for one in host.choose(subjects=both)] == ["priority", "least"]
    assert host.replays == replays


def test_what_was_replayed_beside_another_policy_is_replayed_again() -> None:
    host = Host()
    host.fixed, host.die_at = {"placement": "pack"}, QUEUES - 1
    with pytest.raises(Killed):
        host.choose()
    host.fixed = {"placement": "spread"}
    host.choose()
    assert host.replays == QUEUES - 1 + QUEUES


def test_the_share_of_a_replay_that_was_killed_is_spent() -> None:
    host = Host()
    host.die_at = 0
    with pytest.raises(Killed):
        host.choose()
    assert host.spent_s == pytest.approx(60.0 / (QUEUES + 1))


def test_a_process_that_is_killed_each_time_does_not_spend_more_than_the_budget() -> None:
    host = Host()
    for _ in range(100):
        host.die_at = host.replays
        with pytest.raises(Killed):
            host.choose()
        assert host.spent_s <= 60.0


def test_other_jobs_begin_it_again_with_the_time_that_is_left() -> None:
    host = Host()
    host.die_at = 3
    with pytest.raises(Killed):
        host.choose()
    spent_s, host.seed = host.spent_s, 2
    host.die_at = 3
    with pytest.raises(Killed):
        host.choose()
    assert host.spent_s > spent_s


def test_a_history_too_long_for_the_budget_is_halved() -> None:
    host = Host(days=40, step_s=0.01, budget_s=40.0)
    (choice,) = host.choose()
    assert (choice.days, bool(choice.evidence)) == (20, True)
    assert host.spent_s <= 40.0


def test_without_time_for_a_week_the_policy_of_yesterday_stays_and_says_why() -> None:
    host = Host(days=40)
    (before,) = host.choose()
    host.step_s, host.budget_s = 1.0, 10.0
    (choice,) = host.choose(NOON + timedelta(days=1))
    assert (choice.policy, choice.evidence) == (before.policy, ())
    assert choice.reason == "as before: the history is too long to be replayed in 10 s of processor time"
    assert host.choose(NOON + timedelta(days=1, hours=1)) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"until": "soon"}', '{"until": "2026-11-30T11:00:00", "days": 180}', '{"policy": "sjf"}']
)
def test_a_damaged_database_is_as_one_without_a_choice(text: str) -> None:
    host = Host()
    host.store.keep_choices(dict.fromkeys(("queue", "placement", PROGRESS), text))
    (choice,) = host.choose()
    assert choice.before == "priority"
