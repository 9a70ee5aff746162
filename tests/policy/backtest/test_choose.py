"""The choice among policies by their replays: what is out, what wins, and when yesterday's policy stays."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.policy.backtest.choose import RULES, choose
from clbalance.policy.backtest.values import FIELDS, Backtest, Choice, DayFigures, Subject

AT = datetime(2026, 11, 30, 4, tzinfo=UTC)
QUEUES = FIELDS["queue"].names


def backtest(policy: str, *means: float, worst: dict[int, float] | None = None, jobs: int = 10) -> Backtest:
    """A mean slowdown for each day, the last one is yesterday; `worst` by age of the day."""
    days = [
        DayFigures(age, jobs, jobs * mean, (worst or {}).get(age, mean))
        for age, mean in zip(range(len(means) - 1, -1, -1), means, strict=True)
    ]
    return Backtest(policy=policy, days=tuple(days), started=jobs * len(means))


def among(before: str | None = None, **tried: Backtest) -> Choice:
    """The choice of a list, where those that are not given are like EASY."""
    easy = tried["easy"]
    others = {name: Backtest(policy=name, days=easy.days, started=easy.started) for name in QUEUES}
    given = {name.replace("_", "-"): one for name, one in tried.items()}
    return choose("queue", list((others | given).values()), before=before, at=AT)


def out(choice: Choice) -> dict[str, str]:
    return {one.policy: one.out for one in choice.evidence if one.out}


def test_the_policy_with_the_least_mean_slowdown_is_chosen() -> None:
    choice = among(easy=backtest("easy", *[4.0] * 10), sjf=backtest("sjf", *[2.0] * 10))
    assert (choice.policy, choice.before, choice.days, choice.jobs) == ("sjf", "priority", 10, 100)
    assert choice.margin_pct == pytest.approx(50.0)
    assert choice.reason == "sjf has 50.0 % less slowdown than priority, noise 0.0 %"
    assert choice.evidence[0].policy == "sjf"


@pytest.mark.parametrize("subject", ["queue", "placement"])
@pytest.mark.parametrize("days", [0, 1, RULES.least_days - 1])
def test_a_short_history_gives_the_default_and_says_so(subject: Subject, days: int) -> None:
    field = FIELDS[subject]
    tests = [backtest(name, *[2.0 if name == field.reference else 1.0] * days) for name in field.names]
    choice = choose(subject, tests, before=field.names[-1], at=AT)
    assert choice.policy == field.default
    assert choice.reason.startswith("the default: the history has ")
    assert choice.reason.endswith("and 7 days are needed")


def test_a_policy_with_a_worse_worst_slowdown_than_easy_is_out_however_good_its_mean() -> None:
    choice = among(
        easy=backtest("easy", *[4.0] * 10, worst={3: 50.0}),
        easy_sjbf=backtest("easy-sjbf", *[2.0] * 10, worst={1: 50.1}),
    )
    assert out(choice) == {"easy-sjbf": "its worst slowdown is 50.1, that of easy 50.0"}
    assert choice.policy == "priority"


def test_a_list_that_reorders_is_out_for_a_time_after_its_worst_was_worse() -> None:
    def chosen(days: int) -> Choice:
        """Both had a bad day `days` ago, when the list's was worse; since then EASY had a worse one."""
        easy = backtest("easy", *[4.0] * (days + 1), worst={days: 50.0, days - 1: 99.0})
        return among(easy=easy, sjf=backtest("sjf", *[2.0] * (days + 1), worst={days: 60.0}))

    assert out(chosen(RULES.out_days)) == {"sjf": "its worst slowdown was above that of easy 60 days ago"}
    assert chosen(RULES.out_days + 1).policy == "sjf"


def test_a_list_in_order_of_arrival_is_back_as_soon_as_its_worst_is_no_worse() -> None:
    easy = backtest("easy", *[4.0] * 10, worst={5: 50.0, 0: 99.0})
    choice = among(easy=easy, easy_sjbf=backtest("easy-sjbf", *[2.0] * 10, worst={5: 60.0}))
    assert (choice.policy, out(choice)) == ("easy-sjbf", {})


def test_a_policy_that_starts_fewer_jobs_is_out() -> None:
    fewer = Backtest(policy="fcfs", days=backtest("fcfs", *[1.0] * 9).days, started=90)
    choice = among(easy=backtest("easy", *[4.0] * 10), fcfs=fewer)
    assert out(choice) == {"fcfs": "it starts 10 jobs fewer than easy"}


def test_a_policy_that_starts_nothing_is_out_and_has_no_slowdown() -> None:
    choice = among(easy=backtest("easy", *[4.0] * 10), fcfs=Backtest(policy="fcfs", days=(), started=0))
    (fcfs,) = [one for one in choice.evidence if one.out]
    assert (fcfs.policy, fcfs.slowdown) == ("fcfs", None)


def test_a_margin_within_the_noise_keeps_the_policy_of_yesterday() -> None:
    one_day = {"easy": backtest("easy", *[4.0] * 9, 9.0), "sjf": backtest("sjf", *[4.0] * 9, 1.0)}
    choice = among(before="easy", **one_day)
    assert choice.policy == "easy"
    assert "but the noise is" in choice.reason
    every_day = among(before="easy", easy=one_day["easy"], sjf=backtest("sjf", *[3.0] * 9, 1.0))
    assert (every_day.policy, every_day.before) == ("sjf", "easy")


def test_yesterdays_policy_goes_at_once_if_it_is_out() -> None:
    easy = backtest("easy", *[4.0] * 10, worst={0: 9.0})
    choice = among(before="sjf", easy=easy, sjf=backtest("sjf", *[2.0] * 10, worst={0: 10.0}))
    assert choice.policy != "sjf"
    assert choice.reason.startswith("sjf is out, its worst slowdown is 10.0, that of easy 9.0; ")


def test_recent_days_count_more() -> None:
    """Long ago `sjf` was better by as much as it is worse now."""
    easy = backtest("easy", *[4.0] * 60, *[2.0] * 60)
    sjf = backtest("sjf", *[2.0] * 60, *[4.0] * 60)
    choice = among(before="sjf", easy=easy, sjf=sjf)
    assert (choice.policy, choice.evidence[-1].policy) == ("priority", "sjf")


def test_of_equal_policies_the_one_of_yesterday_is_kept_then_the_default() -> None:
    easy = backtest("easy", *[4.0] * 10)
    assert among(before="fcfs", easy=easy).policy == "fcfs"
    choice = among(before="sjf", easy=easy, sjf=backtest("sjf", *[5.0] * 10))
    assert choice.policy == "priority"


def test_a_policy_of_yesterday_that_exists_no_more_is_replaced() -> None:
    assert among(before="gone", easy=backtest("easy", *[4.0] * 10)).policy in QUEUES


@st.composite
def fields(draw: st.DrawFn) -> tuple[Subject, list[Backtest]]:
    """Each policy of a subject, on the same days with the same jobs."""
    subject: Subject = draw(st.sampled_from(["queue", "placement"]))
    ages = sorted(draw(st.sets(st.integers(0, 150), min_size=5, max_size=10)), reverse=True)
    tests = []
    for name in FIELDS[subject].names:
        slowdowns = draw(st.lists(st.integers(1, 99), min_size=len(ages), max_size=len(ages)))
        days = [
            DayFigures(age, 1 + age % 3, one * (1 + age % 3), one * 1.5)
            for age, one in zip(ages, slowdowns, strict=True)
        ]
        tests.append(Backtest(policy=name, days=tuple(days), started=300 - draw(st.integers(0, 1))))
    return subject, tests


@given(fields(), st.integers(0, 20))
def test_what_is_chosen_passes_the_gate_and_is_best_but_for_noise(
    given_: tuple[Subject, list[Backtest]], pick: int
) -> None:
    subject, tests = given_
    field = FIELDS[subject]
    before = field.names[pick % len(field.names)]
    choice = choose(subject, tests, before=before, at=AT)
    if len(tests[0].days) < RULES.least_days:
        assert (choice.policy, choice.evidence) == (field.default, ())
        return
    found = {one.policy: one for one in choice.evidence}
    assert set(found) == set(field.names)
    assert not found[choice.policy].out
    assert found[choice.policy].worst <= found[field.reference].worst
    passing = [one.slowdown for one in choice.evidence if not one.out and one.slowdown is not None]
    assert choice.policy == before or found[choice.policy].slowdown == min(passing)
    # What was chosen today stays tomorrow if nothing new has come.
    again = choose(subject, tests, before=choice.policy, at=AT)
    assert again.policy == choice.policy
    assert choose(subject, tests[::-1], before=choice.policy, at=AT).policy == choice.policy
