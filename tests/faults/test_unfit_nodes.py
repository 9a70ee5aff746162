"""Nodes without room, without write access, or without python3: the right reason, and nothing lost of what runs there."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, nothing_left
from tests.sharing.holding import leases_held
from tests.waiting import eventually

from .mounts import fill, make_read_only, mounted
from .test_node_faults import SOON, started, told


@pytest.mark.root
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("full", "node folder full: only 0 KiB free in"),
        ("read-only", "node folder not writable:"),
        ("inodes", "node folder full: only 0 inodes free in"),
    ],
)
def test_load_pick_and_run_say_the_same_of_a_node_that_can_keep_nothing(
    lab: Lab, clbalance: Command, how: str, words: str
) -> None:
    reason = words.partition(":")[0]
    lab.node("node2").load(r1m=2.0)
    with mounted(lab, lab.node("node1"), "size=256k,nr_inodes=40") as folder:
        _spoil(lab, folder, how)
        (node,) = json.loads(clbalance("load", "-w", "node1", "--json").stdout)["nodes"]
        assert node["state"] == "unfit"
        assert words in node["reason"]
        picked = clbalance("pick", "-w", "node1")
        assert (picked.rc, picked.stdout) == (3, b"")
        assert f"0/1 nodes fit: 1 {reason}" in picked.stderr
        refused = clbalance("run", "-w", "node1", "--", "true")
        assert (refused.rc, refused.stdout) == (125, b"")
        assert f"0/1 nodes fit: 1 {reason}" in refused.stderr
        assert told(clbalance, 1)[0] == "CANCELLED"
        assert clbalance("pick", "-w", "node[1-2]").text == "node2\n"
        assert clbalance("run", "-q", "-w", "node[1-2]", "-c", "echo $CLBALANCE_NODE").text == "node2\n"
        assert list(folder.glob("clbalance-*/lease-*")) == []


def test_a_node_where_all_names_of_our_folder_are_taken_is_remembered_as_one_that_takes_no_job(
    lab: Lab, clbalance: Command
) -> None:
    lab.node("node2").load(r1m=2.0)
    var = lab.node("node1").folder.var
    own = f"clbalance-{os.getuid()}"
    taken = [var / name for name in (own, *(f"{own}-{number}" for number in range(1, 10)))]
    for path in taken:
        shutil.rmtree(path, ignore_errors=True)  # of a test before
        path.touch()
    try:
        assert clbalance("run", "-q", "-w", "node[1-2]", "-c", "echo $CLBALANCE_NODE").text == "node2\n"
        (node,) = json.loads(clbalance("load", "-w", "node1", "--json").stdout)["nodes"]
        assert node["state"] == "unfit"
        assert node["reason"].startswith("refused every job: ")
        assert "are all taken" in node["reason"]
        assert clbalance("pick", "-w", "node1").rc == 3
        assert clbalance("run", "-w", "node1", "--force", "--", "true").rc == 125
    finally:
        for path in taken:
            path.unlink()


def _spoil(lab: Lab, folder: Path, how: str) -> None:
    if how == "full":
        fill(folder)
    elif how == "inodes":
        with contextlib.suppress(OSError):
            for number in range(100):
                (folder / f"file{number}").touch()
    else:
        make_read_only(lab.node("node1"))


@pytest.mark.root
@pytest.mark.parametrize("how", ["followed", "detached"])
def test_a_job_that_fills_its_nodes_disk_ends_with_its_own_code_and_what_it_could_print_is_there(
    lab: Lab, clbalance: Command, how: str
) -> None:
    text = "echo first; head -c 4000000 /dev/zero 2>/dev/null; exit 9"
    with mounted(lab, lab.node("node1"), "size=512k"):
        if how == "followed":
            done = clbalance("run", "-w", "node1", "-c", text)
        else:
            done = clbalance("attach", str(started(clbalance, "-w", "node1", text=text)))
        assert done.rc == 9
        assert done.stdout.startswith(b"first\n\0")
        assert len(done.stdout) > 100_000
        assert told(clbalance, 1) == ("FAILED", "")


@pytest.mark.root
def test_a_disk_that_fills_up_under_a_job_takes_neither_its_end_nor_its_lease(lab: Lab, clbalance: Command) -> None:
    gate = clbalance.folder / "gate"
    with mounted(lab, lab.node("node1"), "size=512k") as folder:
        job = started(clbalance, "-w", "node1", text=f"until [ -e {gate} ]; do sleep 0.1; done; exit 9")
        filler = fill(folder)
        assert told(clbalance, job) == ("RUNNING", "")
        gate.touch()
        assert clbalance("wait", str(job)).rc == 9
        assert clbalance("run", "-w", "node1", "--", "true").rc == 125
        filler.unlink()
        assert clbalance("run", "-q", "-w", "node1", "--cpus", "4", "--", "true").rc == 0


def test_a_job_whose_node_has_lost_its_python_is_unknown_and_a_cancel_waits_for_that(
    lab: Lab, clbalance: Command
) -> None:
    node = lab.node("node1")
    python = node.folder.bin / "python3"
    with nothing_left(lab):
        job = started(clbalance, "-w", "node1", text="sleep 300")
        python.write_text("#!/bin/sh\nexit 127\n")
        python.chmod(0o755)
        state, reason = told(clbalance, job, *SOON)
        assert state == "RUNNING"
        assert reason.startswith("unknown: node1: ")
        assert clbalance("cancel", str(job), *SOON).rc == 4
        assert len(leases_held(node)) == 1
        python.unlink()
        assert told(clbalance, job)[0] == "CANCELLED", "the cancel was kept"
    eventually(lambda: not leases_held(node))
    assert told(clbalance, job)[0] == "CANCELLED"
