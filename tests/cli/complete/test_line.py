"""A line up to the cursor is split as a shell splits it."""

import pytest

from clbalance.cli.complete.line import typed_line, typed_words


@pytest.mark.parametrize(
    ("line", "before", "current"),
    [
        ("clbalance ", (), ""),
        ("clbalance lo", (), "lo"),
        ("clbalance  load   -w ", ("load", "-w"), ""),
        ("/usr/bin/clbalance load -w no", ("load", "-w"), "no"),
        ("clbalance run -c 'a b' --name \"c d\" x", ("run", "-c", "a b", "--name", "c d"), "x"),
        (r"clbalance run a\ b c", ("run", "a b"), "c"),
        (r'clbalance run "a\"b" c', ("run", 'a"b'), "c"),
        ("clbalance run '' ", ("run", ""), ""),
        ("clbalance run a'b c'd ", ("run", "ab cd"), ""),
    ],
)
def test_words_before_the_cursor_lose_their_quotes(line: str, before: tuple[str, ...], current: str) -> None:
    typed = typed_line(line)
    assert (typed.before, typed.current, typed.is_plain) == (before, current, True)


@pytest.mark.parametrize(
    ("word", "current", "plain", "open_"),
    [
        ("'node1,no", "node1,no", True, True),
        ('"node1,no', "node1,no", True, True),
        ("$(reboot)", "$(reboot)", False, False),
        ("`reboot`", "`reboot`", False, False),
        ("a'b", "a'b", False, False),
        ('"a"', 'a"', False, True),
        ("a\\", "a\\", False, False),
        ('"$HOME', "$HOME", False, True),
    ],
)
def test_a_word_that_the_shell_would_change_is_not_plain(word: str, current: str, plain: bool, open_: bool) -> None:
    for typed in (typed_line(f"clbalance load {word}"), typed_words(["load", word])):
        assert (typed.before, typed.current, typed.is_plain, typed.is_open) == (("load",), current, plain, open_)


def test_nothing_at_all_is_an_empty_word() -> None:
    assert typed_words([]).current == typed_line("").current == ""
