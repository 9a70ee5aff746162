"""What a round takes from the journal."""

from dataclasses import replace
from datetime import timedelta

from clbalance.cli.top.rounds import ended_lately
from tests.render.examples.top import AT, ENDED, RUNNING


def test_jobs_that_ended_in_the_last_hour_are_shown_the_last_one_first_whatever_their_numbers() -> None:
    ended = [replace(ENDED, id=number, ended_at=AT - timedelta(minutes=1000 - number)) for number in range(1, 1001)]
    just_now = replace(ENDED, id=0, ended_at=AT)
    assert [job.id for job in ended_lately([just_now, *ended[:950], RUNNING], AT)] == [0, *range(950, 940, -1)]


def test_of_very_many_the_last_ones_are_shown() -> None:
    ended = [replace(ENDED, id=number, ended_at=AT - timedelta(seconds=200 - number)) for number in range(200)]
    assert [job.id for job in ended_lately(ended, AT)] == list(range(199, 149, -1))
