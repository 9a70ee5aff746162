"""Patterns match what Python's do, and in a time that no pattern makes long."""

import contextlib
import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clbalance.policy.expressions.pattern import MOST_SUBJECT, PatternError, search_for

patient = settings(deadline=None)

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\S", "[a-c0]", r"[^\d]", r"[\D1]", r"\.", "^", "$", "A"]
)
PATTERNS: st.SearchStrategy[str] = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{1,}", "*?"])).map(
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
    # Python's `$` also stands before a last line feed.
    wanted = re.search(pattern.replace("$", r"\Z"), subject, re.IGNORECASE if ignore_case else 0)
    try:
        found_in = search_for(text)
    except PatternError as error:
        assume("not a count from 0 to 1000" not in error.message)  # ten times twice, one in the other, are more
        raise
    assert found_in(subject) is (wanted is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a*)*b",
        "a*a*a*a*a*a*b",
        "(a?){50}a{50}b",
        "(.*)*(.*)*(.*)*b",
        "((a{0,9}){0,9})*b",
        "(.?){1000}b",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.process_time()
    assert not search_for(pattern)("a" * 10_000)
    assert time.process_time() - began < 5.0


def test_a_subject_is_looked_at_so_far_and_no_further() -> None:
    assert search_for("b")("a" * (MOST_SUBJECT - 1) + "b")
    assert not search_for("b")("a" * MOST_SUBJECT + "b")


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
        (r"\bA100\b", "NVIDIA A100-SXM4", True),
        ("(?i:nvidia) A", "NVIDIA a", False),
        ("(?i)É", "é", True),
        ("^.$", "一", True),
        ("a{,2}", "a{,2}", True),
        (r"\s", "\v", False),
    ],
)
def test_what_one_would_expect(pattern: str, subject: str, found: bool) -> None:
    assert search_for(pattern)(subject) is found


@patient
@given(st.text("ab()[]{}|*+?^$.\\0,1-", max_size=12))
def test_any_text_at_all_is_a_pattern_or_refused(text: str) -> None:
    with contextlib.suppress(PatternError):
        assert search_for(text)("ab") in {True, False}


@pytest.mark.parametrize(
    ("pattern", "message", "at"),
    [
        (r"x\(\)((b", "a `(` without", 5),
        ("(a)x(b[)]", "a `(` without", 4),
        ("(a))b)", "a `)` without", 3),
        ("[ab]é[a", "a `[` without", 5),
        (r"\[b-a[b-a]", "`b-a`", 6),
        (r"\d\p{Foo}", r"`\p{Foo}`", 2),
        ("[[:foo:]]", "`[:foo:]`", 1),
        ("é*é**é", "`**`", 3),
        ("a|*", "nothing before `*`", 2),
        ("x{1001}y", "`{1001}`", 1),
        (r"(a)\1", r"`\1`", 3),
        (r"a\Zb", r"`\Z`", 1),
        ("x(?<=a)", "`(?<=`", 1),
        ("(?:a)(?", "`(?`", 5),
        ("abc\\", "nothing follows the last", 3),
        (r"\pL{1000}", "it is too large", 0),
        ("é\udc80", "no UTF-8", 1),
    ],
)
def test_what_is_wrong_is_told_at_its_place(pattern: str, message: str, at: int) -> None:
    with pytest.raises(PatternError, match=re.escape(message)) as caught:
        search_for(pattern)
    assert caught.value.at == at


def test_nothing_is_written_but_what_we_say(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternError):
        search_for("a(b")
    assert not search_for("(?:[ab]*a[ab]{400}|[ab]*b[ab]{401})c")("ab" * 256)
    assert capfd.readouterr() == ("", "")


def test_a_text_that_is_no_utf_8_is_looked_at_all_the_same() -> None:
    assert search_for("^.b$")("\udc80b")
