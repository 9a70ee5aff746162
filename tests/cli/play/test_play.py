"""`clbalance play` on a cluster: the order of nodes, the minimum, failures, questions, and interruptions."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, eventually
from tests.cli.play.drained import drained_at_once

_DRAINED = """
name: upgrade
window: 3
max_fail_percentage: 30
min_available: 5
drain: {deadline: 6s, on_deadline: skip, reason: kernel}
health: {run: 'test "$(cat "$HOME/health" 2>/dev/null)" != sick', fails: 1, every: 1s, within: 20s}
steps:
  - name: upgrade
    run: echo "$VAR_package" >> "$HOME/done"
vars: {package: linux}
rollback:
  - run: touch "$HOME/undone"
"""


def book(clbalance: Command, text: str, name: str = "book.yml") -> str:
    (clbalance.folder / name).write_text(text)
    return name


def home(clbalance: Command, node: str) -> Path:
    return Path(clbalance.env["CLBALANCE_LAB_DIR"]) / node / "home" / "root"


def nodes_of(stdout: bytes) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(stdout)["nodes"]}


def in_homes(clbalance: Command, command: str) -> None:
    """A playbook is the shortest way to change a node's home."""
    name = book(clbalance, f"name: prepare\nsteps:\n  - run: {json.dumps(command)}\n", "prepare.yml")
    assert clbalance("play", name, "-w", "node8").rc == 0


def test_nodes_with_jobs_are_left_out_and_a_sick_one_is_rolled_back_and_stays_drained(clbalance: Command) -> None:
    job = clbalance.start(
        "run", "-q", "-w", "node[1-2]", "--pick", "2", "-c", 'until [ -e "$TMPDIR/go" ]; do sleep 0.1; done'
    )
    eventually(lambda: {"node1", "node2"} <= {row.split()[0] for row in clbalance("load", "--jobs").lines[1:]})
    in_homes(clbalance, 'echo sick > "$HOME/health"')
    done = clbalance("play", book(clbalance, _DRAINED), "-w", "node[1-8]", "--json")
    assert done.rc == 4
    found = nodes_of(done.stdout)
    assert {name for name, one in found.items() if one["state"] == "left_out"} == {"node1", "node2"}
    assert (found["node8"]["state"], found["node8"]["rolled_back"]) == ("failed", True)
    assert list(found)[-2:] == ["node1", "node2"], "the least loaded go first"
    assert clbalance("load", "-w", "@clb:play-failed", "--format", "plain").lines[0].startswith("node8")
    (row,) = clbalance("load", "-w", "node8").lines[1:]
    assert "drained" in row
    assert "play upgrade run" in row
    assert "node8 failed, rolled back: health: sick: exit code 1" in done.stderr
    assert {one["state"] for name, one in found.items() if name in ("node3", "node4")} == {"ok"}
    clbalance("cancel", "last")
    ended(job)


def test_a_minimum_that_can_never_be_held_is_refused_before_anything_is_done(clbalance: Command) -> None:
    text = _DRAINED.replace("min_available: 5", "min_available: 100%")
    done = clbalance("play", book(clbalance, text), "-w", "node[1-4]")
    assert (done.rc, done.stderr.splitlines()[0]) == (
        3,
        "clbalance: `min_available` can never be held: 4 of 4 nodes must stay available, so none can be drained",
    )


def test_the_same_file_does_not_run_twice_at_once_and_an_interrupted_run_says_how_to_go_on(clbalance: Command) -> None:
    name = book(clbalance, "name: slow\nsteps:\n  - run: touch $HOME/up; until [ -e $HOME/go ]; do sleep 0.1; done\n")
    first = clbalance.start("play", name, "-w", "node1", "--json")
    eventually((home(clbalance, "node1") / "up").exists)
    second = clbalance("play", name, "-w", "node2")
    assert second.rc == 75
    assert "is being run already" in second.stderr
    quiet = clbalance("play", name, "-w", "node2", "-q")
    assert (quiet.rc, quiet.stderr) == (75, ""), "under cron the next run follows"
    first.send_signal(signal.SIGINT)
    assert first.wait(20.0) == 130
    assert first.stdout is not None
    document = json.loads(first.stdout.read())
    assert (document["state"], [one["state"] for one in document["nodes"]]) == ("interrupted", ["uncertain"])
    (home(clbalance, "node1") / "go").touch()


def test_cron_is_told_of_nothing_but_failures(clbalance: Command) -> None:
    good = book(clbalance, "name: good\nsteps:\n  - run: 'true'\n", "good.yml")
    done = clbalance("play", good, "-w", "node[1-3]")
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "")
    bad = book(clbalance, "name: bad\nsteps:\n  - run: exit 3\n", "bad.yml")
    done = clbalance("play", bad, "-w", "node1")
    assert (done.rc, done.stderr.splitlines()[0]) == (4, "clbalance: warning: node1 failed: run 1: exit code 3")


def test_of_a_node_that_could_not_be_reached_no_drain_mark_is_told(clbalance: Command, lab: Lab) -> None:
    lab.nodes[0].kill()
    done = clbalance("play", book(clbalance, "name: bare\ndrain: {}\nsteps:\n  - run: 'true'\n"), "-w", "node1")
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert (done.rc, len(warnings)) == (4, 1), warnings
    assert "node1 failed: drain: " in warnings[0]


def test_a_dry_run_changes_nothing(clbalance: Command) -> None:
    done = clbalance("play", book(clbalance, _DRAINED), "-w", "node[1-8]", "--dry-run")
    assert done.rc == 0
    assert "upgrade: would run" in done.text
    document = json.loads(clbalance("play", "book.yml", "-w", "node[1-8]", "--dry-run", "--json").text)
    steps = {one["name"]: one for one in document["nodes"][0]["steps"]}
    assert list(steps) == ["drain", "upgrade", "health", "resume"]
    assert steps["upgrade"]["reason"].startswith("would run `echo")
    assert all("drained" not in row for row in clbalance("load").lines)


_ROLLING = """
name: {name}
window: 3
pool: 'node[1-8]'
min_available: 5
drain: {{deadline: 10m}}
steps:
  - run: sleep 0.2
"""


def test_two_plays_and_two_drains_at_once_never_go_below_the_minimum(clbalance: Command, lab: Lab) -> None:
    books = [book(clbalance, _ROLLING.format(name=name), f"{name}.yml") for name in ("one", "two")]
    for _ in range(max(1, 2 * int(os.environ.get("CLBALANCE_SOAK", "0")))):
        plays = [
            clbalance.start("play", books[0], "-w", "node[1-3]", "-q"),
            clbalance.start("play", books[1], "-w", "node[3-5]", "-q"),
        ]
        drains = [
            clbalance.start("drain", node, "-a", "--min-available", "5", "--reason", "by hand", "-q")
            for node in ("node7", "node8")
        ]
        while any(one.poll() is None for one in (*plays, *drains)):
            assert len(drained_at_once(lab)) <= 3
        assert {ended(one) for one in drains} <= {0, 3}
        assert {ended(one) for one in plays} == {0}
        clbalance("resume", "-a")
