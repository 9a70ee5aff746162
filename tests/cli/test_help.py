"""`--help` of every verb, to the letter; `CLBALANCE_BLESS=1 pytest tests/cli/test_help.py` renews them."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
import typer

from clbalance.cli.app import app_for

from .command import ARGV, THIS_TREE

ENV = {"COLUMNS": "100", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", **THIS_TREE}


def _verbs(command: object, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _verbs(inner, (*words, name))


VERBS = tuple(_verbs(typer.main.get_command(app_for(()))))


@pytest.mark.parametrize("words", VERBS, ids=lambda words: "-".join(words) or "clbalance")
def test_help_is_as_it_was(golden: Callable[[str, str], None], words: tuple[str, ...]) -> None:
    shown = subprocess.run(
        [*ARGV, *words, "--help"],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert shown.stderr == ""
    assert max(map(len, shown.stdout.splitlines())) <= 100
    golden(f"help-{'-'.join(words) or 'clbalance'}.txt", shown.stdout)


def test_every_verb_is_among_them() -> None:
    assert {("load",), ("pick",), ("run",), ("lab", "up")} <= set(VERBS)


def test_short_help_is_the_same(golden: Callable[[str, str], None]) -> None:
    shown = subprocess.run([*ARGV, "pick", "-h"], env=ENV, capture_output=True, text=True, timeout=30, check=True)
    golden("help-pick.txt", shown.stdout)
