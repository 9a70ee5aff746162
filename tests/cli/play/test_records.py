"""`play --history`, `--show`, `--continue`, and the node sets of runs."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.cli.play.test_play import book, home

_LINES = """
name: lines
max_fail_percentage: 100
steps:
  - name: one
    run: echo one >> "$HOME/lines"
  - name: two
    run: test ! -e "$HOME/broken" && echo two >> "$HOME/lines"
"""


def lines(clbalance: Command, node: str) -> list[str]:
    path = Path(home(clbalance, node) / "lines")
    return path.read_text().split() if path.exists() else []


def newest(clbalance: Command) -> int:
    return int(json.loads(clbalance("play", "--history", "--json").stdout)["runs"][0]["run"])


def test_a_run_that_failed_is_listed_shown_and_continued_where_it_stood(clbalance: Command) -> None:
    broken = home(clbalance, "node2") / "broken"
    broken.touch()
    name = book(clbalance, _LINES)
    assert clbalance("play", name, "-w", "node[1-2]").rc == 4
    number = newest(clbalance)
    listed = json.loads(clbalance("play", "--history", "--json").stdout)["runs"][0]
    assert (listed["playbook"], listed["ok"], listed["failed"]) == ("lines", 1, 1)
    picked = clbalance("load", "-w", "@clb:play-failed", "--format", "plain")
    assert [line.split()[0] for line in picked.lines] == ["node2"], picked.stderr
    shown = json.loads(clbalance("play", "--show", str(number), "-v", "--json").stdout)
    assert [(one["name"], one["state"], one["step"]) for one in shown["nodes"] if one["name"] == "node2"] == [
        ("node2", "failed", "two")
    ]
    assert "two" in clbalance("play", "--show", "last").text
    broken.unlink()
    done = clbalance("play", "--continue")
    assert done.rc == 0
    assert f"run {number} of lines goes on: 1 of 2 nodes left to do" in done.stderr
    assert [lines(clbalance, node) for node in ("node1", "node2")] == [["one", "two"]] * 2
    assert "every node of every recorded run is done" in clbalance("play", "--continue").stderr


def test_a_changed_playbook_is_refused_with_what_has_changed_unless_it_is_meant(clbalance: Command) -> None:
    broken = home(clbalance, "node2") / "broken"
    broken.touch()
    name = book(clbalance, _LINES)
    assert clbalance("play", name, "-w", "node2").rc == 4
    book(clbalance, _LINES.replace("echo two", "echo 2"))
    refused = clbalance("play", "--continue", "last")
    assert (refused.rc, "has changed since run" in refused.stderr) == (2, True)
    assert '+    run: test ! -e "$HOME/broken" && echo 2 >>' in refused.stderr
    broken.unlink()
    assert clbalance("play", "--continue", "last", "--changed").rc == 0
    assert lines(clbalance, "node2") == ["one", "2"]


@pytest.mark.parametrize(
    ("point", "left", "ran", "after"),
    [
        pytest.param("step_begun", "uncertain", [], 4, id="begun, and nobody knows whether it ran"),
        pytest.param("step_done", "uncertain", ["one"], 4, id="done, and not recorded"),
        pytest.param("step_ended", "interrupted", ["one"], 0, id="done and recorded"),
    ],
)
def test_a_step_runs_once_or_is_uncertain_wherever_play_dies(
    clbalance: Command, point: str, left: str, ran: list[str], after: int
) -> None:
    name = book(clbalance, _LINES)
    killed = clbalance("play", name, "-w", "node3", env={"CLBALANCE_FAIL_AT": point})
    assert killed.rc == -signal.SIGKILL
    (shown,) = json.loads(clbalance("play", "--show", "--json").stdout)["nodes"]
    assert (shown["state"], shown["step"]) == (left, "one")
    assert clbalance("play", "--continue").rc == after
    if after == 0:
        assert lines(clbalance, "node3") == ["one", "two"]
        return
    assert lines(clbalance, "node3") == ran
    assert clbalance("play", "--continue", "--repeat-uncertain").rc == 0
    assert lines(clbalance, "node3") == [*ran, "one", "two"]


def test_a_run_that_nobody_knows_is_named(clbalance: Command) -> None:
    refused = clbalance("play", "--show", "99")
    assert (refused.rc, "there is no run `99`" in refused.stderr) == (2, True)
