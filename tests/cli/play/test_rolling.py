"""A rolling change on a cluster with work on it: jobs on some nodes, one slow node, and one that comes back sick."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Child, Command, ended, eventually
from tests.cli.play.drained import drained_at_once
from tests.cli.play.test_play import book, home, nodes_of

_MINIMUM = 4
_BUSY, _SLOW, _SICK = ("node1", "node2"), "node3", "node4"
_QUICK = ("node5", "node6", "node7", "node8")
_BOOK = f"""
name: rolling
window: 4
max_fail_percentage: 20
min_available: {_MINIMUM}
drain: {{reason: kernel}}
health: {{run: '[ "$(cat "$HOME/health" 2>/dev/null)" != sick ]', fails: 1, every: 1s}}
steps:
  - name: change
    run: |
      date +%s.%N >"$HOME/changed"
      until [ ! -e "$HOME/slow" ]; do sleep 0.1; done
rollback:
  - run: mv "$HOME/changed" "$HOME/undone"
"""
_JOB = 'until [ -e go ]; do sleep 0.1; done; date +%s.%N >"$HOME/job-ended"'


def _changed(clbalance: Command, nodes: Iterable[str]) -> list[str]:
    return [node for node in nodes if (home(clbalance, node) / "changed").exists()]


def _seconds(path: Path) -> float:
    return float(path.read_text())


@pytest.mark.minute
def test_idle_nodes_go_first_busy_ones_after_their_jobs_and_the_minimum_always_holds(
    clbalance: Command, lab: Lab
) -> None:
    (home(clbalance, _SLOW) / "slow").touch()
    (home(clbalance, _SICK) / "health").write_text("sick")
    job = clbalance.start("run", "-q", "-w", ",".join(_BUSY), "--pick", "2", "--cpus", "2", "-c", _JOB)
    eventually(lambda: {row.split()[0] for row in clbalance("load", "--jobs").lines[1:]} >= set(_BUSY))
    play = clbalance.start("play", book(clbalance, _BOOK), "-w", "node[1-8]", "--json")

    _watched_until(lab, lambda: len(_changed(clbalance, _QUICK)) == len(_QUICK), play)
    _watched_until(lab, lambda: drained_at_once(lab) >= {_SLOW, _SICK, *_BUSY}, play)
    assert not _changed(clbalance, _BUSY), "their jobs run"
    (clbalance.folder / "go").touch()
    _watched_until(lab, lambda: len(_changed(clbalance, _BUSY)) == len(_BUSY), play)
    (home(clbalance, _SLOW) / "slow").unlink()
    _watched_until(lab, lambda: play.poll() is not None, play)

    assert (ended(play), ended(job)) == (4, 0)
    (run,) = json.loads(clbalance("play", "--history", "--json").text)["runs"]
    found = nodes_of(clbalance("play", "--show", str(run["run"]), "--json").stdout)
    assert set(list(found)[-2:]) == set(_BUSY), "the least loaded go first"
    for node in _BUSY:
        assert _seconds(home(clbalance, node) / "changed") > _seconds(home(clbalance, node) / "job-ended")
    assert {name for name, one in found.items() if one["state"] == "ok"} == set(found) - {_SICK}
    assert (found[_SICK]["state"], found[_SICK]["rolled_back"]) == ("failed", True)
    assert (home(clbalance, _SICK) / "undone").exists()
    assert drained_at_once(lab) == {_SICK}
    (row,) = clbalance("load", "-w", _SICK).lines[1:]
    assert f"play rolling run {run['run']} failed: health: sick: exit code 1" in row


def _watched_until(lab: Lab, holds: Callable[[], bool], play: Child) -> None:
    """Wait for it; all the time no more nodes may be drained than the minimum allows, and the run goes on."""

    def looked() -> bool:
        assert len(drained_at_once(lab)) <= len(lab.nodes) - _MINIMUM
        return holds() or play.poll() is not None

    eventually(looked, 120.0)
    assert holds()
