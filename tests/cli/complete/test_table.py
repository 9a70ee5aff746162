"""The table of verbs and options is what typer parses: for each verb, `--help` shows the same options."""

import os
import re
import stat
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.cli.test_help import CALLS

from .conftest import Ask


@pytest.mark.parametrize("words", CALLS, ids=lambda words: "-".join(words) or "clbalance")
def test_a_verb_is_offered_with_every_option_that_its_help_shows(
    alone: Command, ask: Ask, words: tuple[str, ...]
) -> None:
    shown = alone(*words, "--help", env={"COLUMNS": "200"}).text
    options = re.findall(r"^  (-.*?)(?:  |$)", shown.partition("\nOptions:\n")[2], re.MULTILINE)
    assert set(ask(*words, "-")) == {name for line in options for name in re.findall(r"(?<![\w-])-[\w-]+", line)}
    verbs = re.findall(r"^  (\w+)", shown.partition("\nCommands:\n")[2].partition("\n\n")[0], re.MULTILINE)
    if verbs:
        assert ask(*words, "") == verbs


def test_it_is_made_once_and_readable_by_its_owner_alone(alone: Command, ask: Ask) -> None:
    ask("lo")
    table = Path(alone.env["CLBALANCE_STATE_DIR"], "completion-table.json")
    first = table.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600
    ask("load", "--")
    assert table.stat().st_ino == first.st_ino


def test_it_is_made_anew_when_a_file_of_the_program_has_changed(alone: Command, ask: Ask) -> None:
    ask("lo")
    table = Path(alone.env["CLBALANCE_STATE_DIR"], "completion-table.json")
    text = table.read_text().replace('"load"', '"lode"')
    table.write_text(text)
    assert ask("lo") == ["lode", "logs"]
    table.write_text(re.sub(r'(options\.py": \[)\d+', r"\g<1>1", text))
    assert ask("lo") == ["load", "logs"]


def test_what_cannot_be_kept_is_offered_all_the_same(alone: Command, ask: Ask) -> None:
    folder = Path(alone.env["CLBALANCE_STATE_DIR"])
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "completion-table.json")
    assert ask("lo") == ["load", "logs"]
