"""No job has a name that would mean other jobs, wherever a job is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.policy.jobs.names import LAST, default_name, numbers_meant, why_no_name


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("17", (17, 17)),
        ("0017", (17, 17)),
        ("3-7", (3, 7)),
        ("9" * 12, (10**12 - 1, 10**12 - 1)),
        ("9" * 30, (10**18, 10**18)),
        ("1-" + "9" * 30, (1, 10**18)),
        ("last", None),
        ("3-7-9", None),
        ("3,7", None),
        ("1.5", None),
        ("\uff11\uff17", None),
        ("", None),
    ],
)
def test_a_word_means_numbers(word: str, meant: tuple[int, int] | None) -> None:
    assert numbers_meant(word) == meant


@pytest.mark.parametrize("name", ["17", "0", "3-7", "7-3", "9" * 40, LAST, "-x", "-"])
def test_a_name_that_means_something_else_is_none_and_as_a_default_becomes_harmless(name: str) -> None:
    assert why_no_name(name)
    assert not why_no_name(default_name(name))


@pytest.mark.parametrize(
    "name", ["train", "job.sh", "17.sh", "17a", "a-17", "lasting", "LAST", "lr=0.1,bs=2", "1.5", "\uff11\uff17"]
)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert not why_no_name(name)
    assert default_name(name) == name


@given(st.text(alphabet="0123456789-last,._", max_size=12) | st.text(max_size=8))
def test_each_name_means_its_own_jobs_or_none(name: str) -> None:
    means_others = name == LAST or numbers_meant(name) is not None
    assert bool(why_no_name(name)) == (means_others or name.startswith("-"))
    assert not why_no_name(default_name(name))
