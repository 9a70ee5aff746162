"""`--help` of every verb, to the letter; `CLBALANCE_BLESS=1 pytest tests/cli/test_help.py` renews them."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from clbalance.cli.app import command_for
from clbalance.cli.verbs import VERBS

from .command import ARGV, THIS_TREE, Command

ENV = {"COLUMNS": "100", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", **THIS_TREE}


def _verbs(command: object, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _verbs(inner, (*words, name))


CALLS = (
    (),
    *(words for verb in VERBS for words in _verbs(command_for((verb,))) if words),
)


@pytest.mark.parametrize("words", CALLS, ids=lambda words: "-".join(words) or "clbalance")
def test_help_is_as_it_was(golden: Callable[[str, str], None], words: tuple[str, ...]) -> None:
    shown = subprocess.run(
        [*ARGV, *words, "--help"],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert shown.stderr == ""
    assert max(map(len, shown.stdout.splitlines())) <= 100
    golden(f"help-{'-'.join(words) or 'clbalance'}.txt", shown.stdout)


@pytest.mark.parametrize("words", CALLS, ids=lambda words: "-".join(words) or "clbalance")
def test_help_of_a_verb_is_the_same_with_the_word_first(alone: Command, words: tuple[str, ...]) -> None:
    assert alone("help", *words) == alone(*words, "--help")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["lab", "upp"], "No such command 'upp'"),
        (["run", "job.sh"], "`run` has no verb `job.sh`"),
        (["lab", "up", "4"], "`lab up` has no verb `4`"),
    ],
    ids=" ".join,
)
def test_help_of_what_is_no_verb_says_so_and_runs_nothing(alone: Command, words: list[str], told: str) -> None:
    (alone.folder / "job.sh").write_text("#!/bin/sh\ntouch run\n")
    done = alone("help", *words)
    assert (done.rc, done.stdout) == (2, b"")
    assert told in done.stderr
    assert [file.name for file in alone.folder.iterdir()] == ["job.sh"]


def test_every_verb_is_among_them() -> None:
    assert {("load",), ("pick",), ("run",), ("lab", "up")} <= set(CALLS)


def test_the_list_of_verbs_fits_a_terminal_whole() -> None:
    shown = subprocess.run(
        [*ARGV, "--help"], env={**ENV, "COLUMNS": "80"}, capture_output=True, text=True, timeout=120, check=True
    )
    listed = dict(
        line.split(maxsplit=1) for line in shown.stdout.partition("Commands:\n")[2].splitlines()[: len(VERBS)]
    )
    assert listed == {verb: line for verb, (_, line) in VERBS.items()}


def test_short_help_is_the_same(golden: Callable[[str, str], None]) -> None:
    shown = subprocess.run([*ARGV, "pick", "-h"], env=ENV, capture_output=True, text=True, timeout=120, check=True)
    golden("help-pick.txt", shown.stdout)


@pytest.mark.parametrize("words", [(), ("lab",), ("config",)])
def test_no_line_of_a_list_of_verbs_is_cut_at_80_columns(words: tuple[str, ...]) -> None:
    call = [*ARGV, *words, "--help"]
    shown = subprocess.run(call, env={**ENV, "COLUMNS": "80"}, capture_output=True, text=True, timeout=120, check=True)
    lines = shown.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) >= 5
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_the_version_is_listed_and_told() -> None:
    for call in (("--version",), ("-V",), ("--version", "load")):
        message = subprocess.run([*ARGV, *call], env=ENV, capture_output=True, text=True, timeout=120, check=True)
        assert message.stdout.startswith("clbalance ")
    listed = subprocess.run([*ARGV, "--help"], env=ENV, capture_output=True, text=True, timeout=120, check=True)
    assert "--version" in listed.stdout
