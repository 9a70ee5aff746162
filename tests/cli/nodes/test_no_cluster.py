"""Without groups and without nodes named, the cluster is this machine."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

from tests.cli.command import Command
from tests.cli.held_jobs import detached, job

HERE = socket.gethostname().partition(".")[0]


def test_a_script_runs_here_and_stderr_says_so(alone: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("#!/bin/sh\necho $1 in $(pwd) on $CLBALANCE_NODE; exit 3\n")
    done = alone("run", "job.sh", "works")
    assert (done.rc, done.text) == (3, f"works in {folder} on {HERE}\n")
    first, second = done.stderr.splitlines()[:2]
    assert first == f"clbalance: no nodes named and no groups configured: running here, on {HERE}"
    assert second == f"clbalance: job 1 on {HERE}"


def test_load_shows_this_machine(alone: Command) -> None:
    done = alone("load", "--json")
    node = json.loads(done.stdout)["nodes"][0]
    assert (done.rc, node["name"]) == (0, HERE)
    assert node["r1m"] >= 0
    assert alone("load").text.splitlines()[1].startswith(HERE)


def test_pick_picks_this_machine(alone: Command) -> None:
    assert alone("pick").text == f"{HERE}\n"


def test_what_needs_groups_says_how_to_get_them(alone: Command) -> None:
    for arguments in (("-a",), ("-g", "gpu"), ("-w", "@gpu")):
        done = alone("run", *arguments, "--", "true")
        assert done.rc == 2
        assert "needs groups, and none are configured" in done.stderr
        assert "hint: copy groups.conf.example" in done.stderr


def test_more_copies_than_this_machine_is_not_enough(alone: Command) -> None:
    done = alone("run", "--pick", "2", "--", "true")
    assert done.rc == 125
    assert "1/1 nodes fit, 2 wanted" in done.stderr


def test_load_judges_this_machine_as_pick_does_though_it_is_loaded(alone: Command, tmp_path: Path) -> None:
    """There is no other node to wait for."""
    procfs = tmp_path / "proc"
    procfs.mkdir()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() and entry.name != "loadavg":
            (procfs / entry.name).symlink_to(entry)
    (procfs / "loadavg").write_text("999.00 999.00 999.00 999/2000 1\n")
    loaded = {"CLBALANCE_PROCFS": str(procfs)}
    (node,) = json.loads(alone("load", "--json", env=loaded).stdout)["nodes"]
    assert node["r1m"] >= 999
    assert alone("pick", env=loaded).text == f"{HERE}\n"
    assert (node["state"], node["reason"]) == ("up", None)


def test_jobs_that_are_elsewhere_are_asked_about_there(clbalance: Command) -> None:
    """Another node's job is not declared dead because this machine does not know it."""
    number = detached(clbalance, "-w", "node1", "--output", "out", "--", "echo", "there")
    folder = str(clbalance.folder)
    no_groups = {"CLBALANCE_GROUPS_CONF": "", "CLUSTERSHELL_CFGDIR": folder, "CLBALANCE_NODE_DIR": folder}
    before = detached(clbalance, "-w", "node1", "--", "true")
    done = clbalance("run", "--after", f"{number},{before}", "--", "true", env=no_groups)
    assert (done.rc, f"running here, on {HERE}" in done.stderr) == (0, True), done.stderr
    assert [job(clbalance, one)["state"] for one in (number, before)] == ["COMPLETED"] * 2
    assert (clbalance.folder / "out").read_text() == "there\n"


def test_without_ssh_this_machine_runs_its_jobs(alone: Command, folder: Path) -> None:
    there = detached(alone, "--", "true")
    (folder / "bin").mkdir()
    # Not `which python3`: that may be a script of a version manager's, which needs more programs.
    programs = {"sh": "/bin/sh", "env": shutil.which("env") or "", "python3": os.path.realpath(sys.executable)}
    for name, path in programs.items():
        (folder / "bin" / name).symlink_to(path)
    done = alone("run", "-q", "--after", there, "-c", "echo here", env={"PATH": str(folder / "bin")})
    assert (done.rc, done.text) == (0, "here\n"), done.stderr
