"""`play --rollback`: what a run has done is taken back, by the rollback of its playbook."""

import json
import signal

from tests.cli.command import Command
from tests.cli.play.test_play import book, home
from tests.cli.play.test_records import lines, newest

_UPGRADE = """
name: upgrade
order: name
window: 1
max_fail_percentage: 100
drain: {deadline: 20s}
health: {run: test ! -e "$HOME/sick", fails: 1, every: 1s, within: 20s}
steps:
  - name: version
    run: if [ -e "$HOME/version" ]; then cat "$HOME/version"; else echo 1; fi
    register: before
  - name: upgrade
    run: echo 2 > "$HOME/version"; echo upgraded >> "$HOME/lines"; test ! -e "$HOME/broken"
rollback:
  - run: echo "$VAR_before" > "$HOME/version"; echo back >> "$HOME/lines"
"""


def version(clbalance: Command, node: str) -> str:
    return (home(clbalance, node) / "version").read_text().strip()


def states(document: str) -> dict[str, str]:
    return {one["name"]: one["state"] for one in json.loads(document)["nodes"]}


def test_nodes_that_a_run_has_done_go_back_to_what_they_were_and_serve_again(clbalance: Command) -> None:
    name = book(clbalance, _UPGRADE)
    (home(clbalance, "node3") / "broken").touch()
    assert clbalance("play", name, "-w", "node[1-3]", "-q").rc == 4
    number = newest(clbalance)
    assert [version(clbalance, node) for node in ("node1", "node2", "node3")] == ["2", "2", "1"]

    done = clbalance("play", "--rollback", "--json", "--yes")
    assert done.rc == 0
    assert states(done.text) == {"node2": "ok", "node1": "ok"}
    assert list(states(done.text)) == ["node2", "node1"], "the last one first"
    assert "node3: its rollback has run already" in done.stderr
    assert [version(clbalance, node) for node in ("node1", "node2")] == ["1", "1"]
    assert [lines(clbalance, node) for node in ("node1", "node3")] == [["upgraded", "back"]] * 2
    assert not any("drained" in row for row in clbalance("load", "-w", "node[1-2]").lines)

    last, first = json.loads(clbalance("play", "--history", "--json").text)["runs"][:2]
    assert (last["rolls_back"], first["rolls_back"]) == (number, None)
    assert f"upgrade, rollback of {number}" in clbalance("play", "--history").text
    assert f"by run {last['run']}" in clbalance("play", "--show", str(number)).text

    again = clbalance("play", "--rollback", str(number))
    assert (again.rc, "its rollback has run already" in again.stderr) == (2, True)
    on = clbalance("play", "--continue", str(number))
    assert (on.rc, f"run {number} was rolled back by run {last['run']}" in on.stderr) == (2, True)
    assert "is the rollback of run" in clbalance("play", "--rollback", "last").stderr


def test_one_node_is_rolled_back_by_its_name_and_others_are_refused(clbalance: Command) -> None:
    name = book(clbalance, _UPGRADE)
    assert clbalance("play", name, "-w", "node[4-5]", "-q").rc == 0
    refused = clbalance("play", "--rollback", "--yes", "-w", "node[4,6]")
    assert (refused.rc, "node6: it is no node of the run" in refused.stderr) == (2, True)
    assert clbalance("play", "--rollback", "--yes", "-q", "-w", "node4").rc == 0
    assert [version(clbalance, node) for node in ("node4", "node5")] == ["1", "2"]


def test_a_rollback_that_fails_is_continued_as_such(clbalance: Command) -> None:
    name = book(clbalance, _UPGRADE)
    assert clbalance("play", name, "-w", "node6", "-q").rc == 0
    (home(clbalance, "node6") / "sick").touch()
    assert clbalance("play", "--rollback", "--yes", "-q").rc == 4
    (home(clbalance, "node6") / "sick").unlink()
    assert clbalance("play", "--continue", "-q").rc == 0
    assert lines(clbalance, "node6") == ["upgraded", "back"]
    assert not any("drained" in row for row in clbalance("load", "-w", "node6").lines)


def test_without_a_rollback_or_by_another_text_nothing_is_taken_back(clbalance: Command) -> None:
    name = book(clbalance, "name: plain\nsteps:\n  - run: 'true'\n")
    assert clbalance("play", name, "-w", "node1", "-q").rc == 0
    refused = clbalance("play", "--rollback")
    assert (refused.rc, "it has no `rollback`" in refused.stderr) == (2, True)
    name = book(clbalance, _UPGRADE)
    assert clbalance("play", name, "-w", "node7", "-q").rc == 0
    book(clbalance, f"{_UPGRADE}# changed\n")
    refused = clbalance("play", "--rollback")
    assert (refused.rc, "has changed since run" in refused.stderr) == (2, True)
    assert clbalance("play", "--rollback", "--changed", "--dry-run").rc == 0
    assert version(clbalance, "node7") == "2"
    assert clbalance("play", "--rollback", "--changed", "-q").rc == 0
    assert version(clbalance, "node7") == "1"


_KILLED = """
name: killed
drain: {deadline: 20s}
steps:
  - run: echo new > "$HOME/version"
  - run: "true"
rollback:
  - run: echo old > "$HOME/version"
"""


def test_a_node_that_a_killed_run_has_left_drained_is_rolled_back_and_serves_again(clbalance: Command) -> None:
    name = book(clbalance, _KILLED)
    killed = clbalance("play", name, "-w", "node4", env={"CLBALANCE_FAIL_AT": "step_ended:2"})
    assert (killed.rc, version(clbalance, "node4")) == (-signal.SIGKILL, "new")
    back = clbalance("play", "--rollback", "--yes", "-v")
    assert back.rc == 0, back.stderr
    assert "interrupted in run" in back.stderr
    assert version(clbalance, "node4") == "old"
    assert not any("drained" in row for row in clbalance("load", "-w", "node4").lines)
