"""`clbalance reap` on a cluster: what jobs have left is shown, goes when told to, and nothing else does."""

import json
import os
import re
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from tests.cli.command import Command, ended
from tests.cli.held_jobs import LATER
from tests.cli.nodes.test_load import HOSTILE
from tests.cli.run.test_run_ends import PYTHONS, await_output

LEASE = "lease-" + "f" * 32 + ".1"
MONTH_S = 30 * 86400


def home(lab: Lab, node: str) -> Path:
    return lab.node(node).folder.var / f"clbalance-{os.geteuid()}"


def age(lab: Lab, node: str) -> None:
    """Let all of a node's job folders be a month old."""
    for path in (home(lab, node) / "jobs").rglob("*"):
        then = path.lstat().st_mtime - MONTH_S
        os.utime(path, (then, then), follow_symlinks=False)


def leave(clbalance: Command, lab: Lab, *nodes: str) -> None:
    """An old job and a void lease on each node."""
    for node in nodes:
        assert clbalance("run", "-q", "-w", node, "--", "echo", "hello").rc == 0
        age(lab, node)
        (home(lab, node) / LEASE).write_text("{}")


def test_what_was_left_is_shown_folded_and_goes_only_when_told_to(lab: Lab, clbalance: Command) -> None:
    leave(clbalance, lab, "node1", "node2")
    dry = clbalance("reap", "node[1-3]")
    heading, row = dry.lines
    assert re.split("  +", heading) == [
        *("NODES", "PROCESSES", "LEASES", "PARTIAL FILES", "ENDED JOBS", "JOBS BEFORE BOOT", "UNSTARTED JOBS", "SIZE")
    ]
    assert row.split()[:-1] == ["node[1-2]", "0", "1", "0", "1", "0", "0"]
    assert (dry.rc, dry.stderr) == (0, "clbalance: nothing was removed; `--apply` removes it on node[1-2]\n")
    assert (home(lab, "node1") / LEASE).exists()

    done = clbalance("reap", "node[1-3]", "--apply")
    assert (done.rc, done.stdout, done.stderr) == (0, dry.stdout, "clbalance: removed on node[1-2]\n")
    assert not (home(lab, "node1") / LEASE).exists()
    (tombstone,) = (home(lab, "node1") / "jobs").iterdir()
    assert {path.name for path in tombstone.iterdir()} == {"fate", "exit"}

    again = clbalance("reap", "node[1-3]")
    assert (again.rc, again.stdout, again.stderr) == (0, b"", "clbalance: nothing of yours to remove on node[1-3]\n")


def test_programs_are_told_each_thing_by_its_name(lab: Lab, clbalance: Command) -> None:
    leave(clbalance, lab, "node1")
    parsed = json.loads(clbalance("reap", "-w", "node[1-2]", "--json").stdout)
    assert (parsed["schema"], parsed["applied"]) == (1, False)
    first, second = parsed["nodes"]
    assert second == {"name": "node2", "cause": None, "reason": None, "found": []}
    assert [(one["kind"], one["pids"], one["reason"]) for one in first["found"]] == [
        ("job", [], None),
        ("lease", [], None),
    ]
    assert first["found"][1]["name"] == LEASE
    lines = clbalance("reap", "-w", "node[1-2]", "--format", "plain").lines
    assert [line.split("\t")[:2] for line in lines] == [["node1", "job"], ["node1", "lease"]]
    assert lines[1] == f"node1\tlease\t{LEASE}\t2\t-\t-"


def test_what_runs_is_never_touched_and_young_folders_stay(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start(
        "run", "-q", "-w", "node1", "-c", 'echo up; until [ -e "$TMPDIR/go" ]; do sleep 0.05; done; exit 7'
    )
    await_output(child)
    age(lab, "node1")
    assert clbalance("run", "-q", "-w", "node2", "--", "true").rc == 0
    done = clbalance("reap", "node[1-2]", "--apply")
    assert (done.rc, done.stdout) == (0, b"")
    (lab.node("node1").folder.tmp / "go").touch()
    assert ended(child) == 7


def test_output_of_a_job_is_gone_after_it_and_its_end_is_not(lab: Lab, clbalance: Command) -> None:
    leave(clbalance, lab, "node1")
    assert clbalance("logs", "last").stdout == b"hello\n"
    assert clbalance("reap", "node1", "--apply").rc == 0
    assert clbalance("logs", "last").stdout == b""
    assert clbalance("jobs", "last", "--format", "plain").lines[0].split("\t")[2] == "COMPLETED"


def test_nodes_that_do_not_answer_are_told_and_the_others_are_done(lab: Lab, clbalance: Command) -> None:
    leave(clbalance, lab, "node4")
    lab.node("node1").kill()
    lab.node("node2").hang()
    lab.node("node3").boot(Fault(without=PYTHONS))
    done = clbalance("reap", "-w", "node[1-4]", *LATER, "--apply")
    assert done.rc == 4
    parsed = {row.split()[0]: row for row in done.lines[1:]}
    assert parsed.keys() == {"node1", "node2", "node3", "node4"}
    assert "refused" in parsed["node1"]
    assert "timed out" in parsed["node2"]
    assert "python3" in parsed["node3"]
    assert done.stderr == "clbalance: removed on node4\n"
    assert not (home(lab, "node4") / LEASE).exists()


@pytest.mark.parametrize("keep", ["", "soon", "0", "-1d"])
def test_a_keep_time_that_cannot_be_meant_takes_nothing_away(lab: Lab, clbalance: Command, keep: str) -> None:
    leave(clbalance, lab, "node1")
    done = clbalance("reap", "node1", f"--keep={keep}", "--apply")
    assert (done.rc, done.stdout) == (2, b"")
    assert f"`--keep` cannot be {keep!r}" in done.stderr
    assert (home(lab, "node1") / LEASE).exists()


LIAR = r"""#!/bin/sh
printf '\036CLB1 %s {"ev":"hello","protocol":2,"python":"3","uid":0,"node_dir":"/"}\n' "$4"
printf '\036CLB1 %s {"ev":"reaped","found":[{"kind":"job","name":WHY,"bytes":3,"pids":[],"why":WHY}],"last":"x","more":false}\n' "$4"
exec cat >/dev/null
"""


def test_no_name_that_a_node_makes_up_reaches_the_terminal_raw(lab: Lab, clbalance: Command) -> None:
    liar = lab.node("node1").folder.bin / "python3"
    liar.write_text(LIAR.replace("WHY", json.dumps(HOSTILE).replace("\\", "\\\\").replace("%", "%%")))
    liar.chmod(0o755)
    for form in ("human", "plain", "json"):
        done = clbalance("reap", "node1", "--format", form)
        shown = done.stdout + done.stderr.encode()
        assert (done.rc, b"owned" in shown) == (4, True)
        assert all(32 <= byte < 127 or byte in b"\n\t" for byte in shown), form


ENDLESS = r"""#!/bin/sh
printf '\036CLB1 %s {"ev":"hello","protocol":2,"python":"3","uid":0,"node_dir":"/"}\n' "$4"
while read -r _; do
    printf '\036CLB1 %s {"ev":"reaped","found":[],"last":"x","more":true}\n' "$4"
done
"""


def test_a_node_that_always_has_more_is_not_listened_to_for_ever(lab: Lab, clbalance: Command) -> None:
    liar = lab.node("node1").folder.bin / "python3"
    liar.write_text(ENDLESS)
    liar.chmod(0o755)
    done = clbalance("reap", "node1")
    assert (done.rc, "there is more" in done.text) == (4, True)
