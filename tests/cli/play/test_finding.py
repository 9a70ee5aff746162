"""Playbooks are found by name or by path, and looked at without running anything."""

import json
from pathlib import Path

import pytest

from tests.cli.command import Command

VALID = "description: says hello\nvars: {greeting: hello}\nsteps: [{run: 'echo $VAR_greeting'}]\n"


@pytest.fixture
def own(clbalance: Command) -> Path:
    folder = clbalance.folder / "config" / "clbalance" / "playbooks"
    folder.mkdir(parents=True)
    clbalance.env["XDG_CONFIG_HOME"] = str(clbalance.folder / "config")
    return folder


def test_ones_own_playbooks_are_found_by_name(clbalance: Command, own: Path) -> None:
    (own / "greet.yml").write_text(VALID)
    (own / "broken.yml").write_text("steps: 3")
    listed = json.loads(clbalance("play", "--list", "--json").text)["playbooks"]
    found = {one["name"]: one for one in listed}
    assert found["greet"]["variables"] == {"greeting": "hello"}
    assert "must be a list of steps" in found["broken"]["reason"]
    assert clbalance("play", "greet", "--check").text == "greet: valid: 1 step; nodes as typed\n"
    missing = clbalance("play", "gret", "--check")
    assert (missing.rc, "did you mean `greet`?" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("hosts: '-oProxyCommand=x'", "-oProxyCommand"),
        ("hosts: n[1-3]\nmin_available: 3\ndrain:", "3"),
        ("rollback: [{copy: {src: nothing, dest: x}}]", "it.yml:4:25: rollback[0].copy.src: nothing is not there"),
    ],
)
def test_nodes_files_and_a_minimum_that_cannot_be_are_told(clbalance: Command, more: str, said: str) -> None:
    (clbalance.folder / "it.yml").write_text(f"{VALID}{more}\n")
    done = clbalance("play", "./it.yml", "--check")
    assert (done.rc in {2, 3}, said in done.stderr) == (True, True), done


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b"#" * (10 << 20)), "larger than"),
        (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
        (lambda path: path.write_text(""), "it is empty"),
        (lambda path: path.write_text("windw: 1\nsteps: [{}]"), ":1:1: windw: there is no key"),
    ],
    ids=["folder", "nothing", "large", "bytes", "empty", "mistakes"],
)
def test_what_is_no_playbook_is_refused_with_its_reason(clbalance: Command, make: object, said: str) -> None:
    make(clbalance.folder / "it.yml")  # type: ignore[operator]
    done = clbalance("play", "./it.yml", "--check")
    assert (done.rc, done.text) == (2, "")
    assert said.casefold() in done.stderr.casefold()
    assert "Traceback" not in done.stderr


def test_each_mistake_is_an_object_for_programs(clbalance: Command) -> None:
    file = clbalance.folder / "it.yml"
    file.write_text(f"windw: 1\n{VALID}rollback: [{{copy: {{src: x}}}}]\n")
    done = clbalance("play", "./it.yml", "--check", "--json")
    error = json.loads(done.text)["error"]
    assert (done.rc, error["exit_code"]) == (2, 2)
    first, second = error["mistakes"]
    assert first == {
        "file": "it.yml",
        "line": 1,
        "column": 1,
        "path": "windw",
        "message": "there is no key `windw` here",
        "hint": "did you mean `window`?",
    }
    assert (second["line"], second["path"], second["message"]) == (5, "rollback[0].copy", "`dest` is missing")


def test_a_playbook_is_explained_without_asking_a_node(clbalance: Command) -> None:
    (clbalance.folder / "it.yml").write_text(f"{VALID}hosts: nowhere[1-3]\n")
    told = clbalance("play", "./it.yml", "--explain", "-e", "greeting=good day")
    assert (told.rc, told.stderr) == (0, "")
    assert "1. run 1 (line 3): run `echo $VAR_greeting`" in told.text
    document = json.loads(clbalance("play", "./it.yml", "--explain", "--json", "-w", "elsewhere").text)
    origins = {one["name"]: (one["value"], one["from"]) for one in document["values"]}
    assert origins["hosts"] == ("elsewhere", "command line")
    assert origins["order"] == ("least", "default")


def test_a_playbook_that_others_may_write_is_not_run(clbalance: Command) -> None:
    file = clbalance.folder / "it.yml"
    file.write_text(VALID)
    file.chmod(0o666)
    assert clbalance("play", "./it.yml", "--check").rc == 2


def test_two_things_at_once_are_refused(clbalance: Command) -> None:
    assert "exclude each other" in clbalance("play", "--list", "--history").stderr
    assert "exclude each other" in clbalance("play", "greet", "--explain", "--dry-run").stderr
    assert "is for `--continue`" in clbalance("play", "--changed", "x").stderr


def test_the_schema_is_printed_for_editors(clbalance: Command) -> None:
    assert json.loads(clbalance("play", "--schema").text)["title"] == "A playbook of clbalance"


_PUSH = """
description: pushes
vars: {source: , keep: ""}
steps:
  - copy: {src: "{{ vars.source }}", dest: "kept/{{ vars.keep }}"}
    when: vars.keep != ""
  - copy: {src: "{{ vars.source }}", dest: pushed/}
"""


def test_a_variable_without_a_value_is_asked_for_before_anything_runs_and_listed_as_such(
    clbalance: Command, own: Path
) -> None:
    (own / "push.yml").write_text(_PUSH)
    (clbalance.folder / "it").write_text("x")
    for look in ((), ("--check",), ("--dry-run",)):
        done = clbalance("play", "push", "-w", "node1", *look)
        assert (done.rc, done.stderr.splitlines()) == (
            2,
            [
                f"clbalance: {own}/push.yml:3:8: vars.source: it has no value, and must be given",
                "hint: `-e source=VALUE`",
            ],
        )
    (row,) = (
        one for one in json.loads(clbalance("play", "--list", "--json").text)["playbooks"] if one["name"] == "push"
    )
    assert (row["reason"], row["variables"]) == (None, {"source": None, "keep": ""})
    assert clbalance("play", "push", "-w", "node1", "-e", f"source={clbalance.folder}/it").rc == 0


def test_a_source_that_is_not_there_is_told_before_a_run_begins(clbalance: Command, own: Path) -> None:
    (own / "push.yml").write_text(_PUSH)
    done = clbalance("play", "push", "-w", "node1", "-e", "source=it/")
    assert (done.rc, done.stderr.splitlines()) == (
        2,
        [
            f"clbalance: {own}/push.yml:7:17: steps[1].copy.src: it is not there",
            f"hint: a full path, or one that is relative to the playbook's folder, {own}",
        ],
    )
    assert clbalance("play", "--history", "--json").text.count('"run"') == 0
