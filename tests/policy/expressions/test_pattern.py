"""Patterns match what Python's do, and in a time that no pattern makes long."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.policy.expressions.pattern import MOST_SUBJECT, Matcher
from clbalance.policy.expressions.pattern_parse import PatternError

patient = settings(deadline=None)

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\S", "[a-c0]", r"[^\d]", r"[\D1]", r"\.", "^", "$", "A"]
)
PATTERNS: st.SearchStrategy[str] = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?"])).map(
            lambda parts: f"(?:{parts[0]}){parts[1]}"
        ),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=6,
)


@patient
@given(PATTERNS, st.text("abc0. A\n", max_size=6), st.booleans())
def test_what_is_found_is_what_python_finds(pattern: str, subject: str, ignore_case: bool) -> None:
    text = f"(?i){pattern}" if ignore_case else pattern
    # Python's `$` also stands before a last line feed, and there its `{,2}` is a text before 3.12's successor.
    wanted = re.search(
        pattern.replace("$", r"\Z").replace("{,2}", "{0,2}"), subject, re.IGNORECASE if ignore_case else 0
    )
    assert Matcher(text).found_in(subject) is (wanted is not None)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*b", "(a?){50}a{50}b", "(.*)*(.*)*(.*)*b", "((a{0,9}){0,9})*b"],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.process_time()
    assert not Matcher(pattern).found_in("a" * 10_000)
    assert time.process_time() - began < 5.0


def test_a_subject_is_looked_at_so_far_and_no_further() -> None:
    assert Matcher("b").found_in("a" * (MOST_SUBJECT - 1) + "b")
    assert not Matcher("b").found_in("a" * MOST_SUBJECT + "b")


@pytest.mark.parametrize(
    ("pattern", "subject", "found"),
    [
        ("A100|H100", "NVIDIA A100-SXM4-40GB", True),
        ("^A100", "NVIDIA A100", False),
        ("(?i)a100$", "NVIDIA A100", True),
        ("(?i)[^a]", "A", False),
        ("", "", True),
        ("^$", "x", False),
        ("a{0}b", "b", True),
        ("a{", "a{", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        (r"[\]x]", "]", True),
        (r"[\S]", " ", False),
        ("x{2,3}$", "axx", True),
        ("a|", "b", True),
    ],
)
def test_what_one_would_expect(pattern: str, subject: str, found: bool) -> None:
    assert Matcher(pattern).found_in(subject) is found
    assert Matcher(pattern).found_in(subject) is found, "the second time, on the same way"


@patient
@given(st.text("ab()[]{}|*+?^$.\\0,1-", max_size=12))
def test_any_text_at_all_is_a_pattern_or_refused(text: str) -> None:
    with contextlib.suppress(PatternError):
        assert Matcher(text).found_in("ab") in {True, False}


def test_what_it_remembers_of_the_way_has_a_limit() -> None:
    matcher = Matcher("x")
    for number in range(30):
        assert not matcher.found_in("".join(chr(0x4E00 + 300 * number + one) for one in range(300)))
    assert matcher.found_in("一x")
