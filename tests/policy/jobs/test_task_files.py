"""Names of the files of tasks: results of two tasks never get one name here."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.job_files import JobFiles, SentPath
from clbalance.policy.files.patterns import is_match
from clbalance.policy.jobs.task_files import (
    both_shared_and_own,
    for_task,
    names_the_task,
    result_ending,
    sent_to,
    unclear_names,
)


def sent(name: str, base: str = "/here") -> SentPath:
    return SentPath(base=base, name=name, files=1, size_bytes=1, newest_ns=1)


@pytest.mark.parametrize(
    ("pattern", "filled"), [("in-%t.csv", "in-7.csv"), ("%%t", "%t"), ("%t/%t%%", "7/7%"), ("plain", "plain")]
)
def test_a_name_gets_the_number_of_the_task(pattern: str, filled: str) -> None:
    assert for_task(pattern, 7) == filled
    assert names_the_task(pattern) == (filled != "%t" and "7" in filled)


@pytest.mark.parametrize("pattern", ["%a", "x%", "%", "%T"])
def test_another_placeholder_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="`%t` is the task"):
        for_task(pattern, 1)


def test_each_task_is_sent_its_own() -> None:
    files = JobFiles(sent_to_tasks=(sent("in/%t.csv", "/a%%b/%t"),))
    assert [(one.base, one.name) for one in sent_to(files, 3)] == [("/a%b/3", "in/3.csv")]


@pytest.mark.parametrize(
    ("returned", "into", "ending"),
    [
        (("out-%t.csv", "log-%t"), "/here", ""),
        (("out-%t.csv", "log"), "/here", ".3"),
        (("result",), "/here", ".3"),
        (("result",), "/here/%t", ""),
        (("result",), "/here/100%%t", ".3"),
    ],
)
def test_a_result_gets_the_number_unless_its_name_or_folder_has_it(
    returned: tuple[str, ...], into: str, ending: str
) -> None:
    assert result_ending(JobFiles(returned=returned, into=into), 3) == ending


UNCLEAR = ["*%t", "a?/%t.x", "out-%t*", "out-%t?", "out-%t[ab]", "out-%t1", "out-%t%t", "plain"]


@pytest.mark.parametrize("pattern", UNCLEAR)
def test_a_pattern_that_two_tasks_may_match_is_unclear(pattern: str) -> None:
    assert unclear_names([pattern]) == pattern


def test_two_patterns_that_may_meet_are_unclear() -> None:
    assert unclear_names(["a-%t-*", "a-1-%t"]) == "a-1-%t"
    assert unclear_names(["%t/*", "1/%t"]) == "1/%t"
    assert unclear_names(["out-%t.*", "log-%t", "out-%t.csv", "out-x%t"]) is None


TEXT = st.text("a1*-/", max_size=3)
PATTERN = st.builds("{}%t{}".format, TEXT, TEXT)


@given(patterns=st.lists(PATTERN, min_size=1, max_size=2), names=st.lists(st.text("a1-/", max_size=6), max_size=20))
def test_no_name_matches_clear_patterns_for_two_tasks(patterns: list[str], names: list[str]) -> None:
    if unclear_names(patterns) is None:
        for name, (one, other) in itertools.product(names, itertools.combinations((1, 11, 111), 2)):
            matched = [
                any(is_match(name, for_task(pattern, number)) for pattern in patterns) for number in (one, other)
            ]
            assert not all(matched)


def test_a_folder_is_shared_or_of_each_task_not_both() -> None:
    assert both_shared_and_own([sent("data/x")], [sent("data/in-3")]) == "data"
    assert both_shared_and_own([sent("data/x")], [sent("in-3")]) is None
