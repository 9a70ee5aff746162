"""What holds of every playbook that ships."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.playbooks.support import SHELLS, SHIPPED, given, shell_texts, shipped

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "playbooks.md"

by_name = pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)


@pytest.fixture
def listed(alone: Command) -> dict[str, dict[str, object]]:
    """The rows of `play --list`, by name."""
    return {one["name"]: one for one in json.loads(alone("play", "--list", "--json").stdout)["playbooks"]}


def test_each_is_found_by_its_name_with_a_sentence_that_says_what_it_does(
    listed: dict[str, dict[str, object]],
) -> None:
    assert set(listed) == {file.stem for file in SHIPPED}
    assert {name: row["reason"] for name, row in listed.items() if row["reason"]} == {}
    assert {name for name, row in listed.items() if len(str(row["description"])) < 20} == set()


@by_name
def test_each_is_valid_once_the_variables_without_a_value_are_given(
    alone: Command,
    listed: dict[str, dict[str, object]],
    file: Path,
) -> None:
    variables = listed[file.stem]["variables"]
    assert isinstance(variables, dict)
    missing = {name: str(alone.folder) for name, value in variables.items() if value is None}
    done = alone("play", file.stem, "--check", *given(**missing))
    assert (done.rc, done.stderr) == (0, "")
    assert done.text.startswith(f"{file.stem}: valid: ")


@by_name
def test_each_begins_with_what_it_does_how_it_is_called_and_what_to_change(file: Path) -> None:
    comment = file.read_text().partition("\n\n")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert f"clbalance play {file.stem} " in comment
    assert re.search(r"^# Change", comment, re.MULTILINE)


@by_name
def test_each_stands_in_the_table_of_the_guide(file: Path) -> None:
    assert re.search(rf"^\| `{file.stem}` \| .{{20,}} \|$", GUIDE.read_text(), re.MULTILINE)


@by_name
def test_each_is_short_enough_to_be_read(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120


@by_name
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_each_is_text_for_the_shells_of_small_and_large_nodes(file: Path, shell: list[str]) -> None:
    playbook = shipped(file)
    programs = {name: playbook.variables[name] for name in re.findall(r'eval "\$VAR_(\w+)"', file.read_text())}
    for name, text in {**shell_texts(playbook), **programs}.items():
        told = subprocess.run([*shell, "-nc", text], capture_output=True, text=True, timeout=60, check=False)
        assert (told.returncode, told.stderr) == (0, ""), name
