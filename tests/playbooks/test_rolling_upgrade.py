"""`rolling-upgrade`: node by node, never under work; what fails is undone, stays drained, and stops the run."""

import shutil
import subprocess
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done, ended
from tests.playbooks.support import (
    FOLDER,
    SHELLS,
    drain_reasons,
    given,
    home,
    nodes_of,
    quick,
    shipped,
    states_of,
)
from tests.waiting import eventually

NODES = ("node1", "node2", "node3", "node4")
LONGEST_S = 200.0
"""Of a run with reboots, on a busy machine."""
STAND_INS = {
    "needed": 'test ! -e "$HOME/version" || test "$(cat "$HOME/version")" = 1',
    "note": 'cat "$HOME/version" >"$HOME/noted"',
    "upgrade": 'echo 2 >"$HOME/version"',
    "undo": 'cat "$HOME/noted" >"$HOME/version"',
    "healthy": "node-health",
}


@pytest.fixture(autouse=True)
def version_1(request: pytest.FixtureRequest) -> None:
    """The nodes have something to upgrade."""
    if "clbalance" in request.fixturenames:
        for node in NODES:
            (home(request.getfixturevalue("clbalance"), node) / "version").write_text("1\n")


def upgrade(clbalance: Command, nodes: str = "node[1-4]", **programs: str) -> list[str]:
    call = ["play", quick(clbalance, "rolling-upgrade"), "-w", nodes, "--json"]
    return [*call, *given(**{**STAND_INS, **programs})]


def versions(clbalance: Command) -> list[str]:
    return [(home(clbalance, node) / "version").read_text().strip() for node in NODES]


def boots(lab: Lab) -> list[str]:
    return [node.boot_id() for node in lab.nodes[:4]]


@pytest.mark.minute
@pytest.mark.timeout(3 * LONGEST_S)
def test_nodes_are_upgraded_and_rebooted_and_one_with_a_job_only_when_it_has_ended(
    clbalance: Command, lab: Lab
) -> None:
    """Six of eight nodes stay in service, so the others go on while one waits for its job."""
    for node in lab.nodes[2:]:
        (home(clbalance, node.name) / "version").write_text("2\n")
    gate = clbalance.folder / "gate"
    job = clbalance.start("run", "-q", "-w", "node2", "-c", f"until [ -e {gate} ]; do sleep 0.1; done")
    eventually(lambda: "node2" in clbalance("load", "--jobs").text)
    before = boots(lab)
    run = clbalance.start(*upgrade(clbalance, "node[1-8]"))
    eventually(
        lambda: versions(clbalance)[0] == "2" and list(drain_reasons(clbalance, "node[1-8]")) == ["node2"], LONGEST_S
    )
    assert (versions(clbalance)[1], boots(lab)[1]) == ("1", before[1])
    gate.touch()
    assert (ended(run, LONGEST_S), ended(job)) == (0, 0)
    assert versions(clbalance) == ["2"] * 4
    assert [now != old for now, old in zip(boots(lab), before, strict=True)] == [True, True, False, False]
    assert drain_reasons(clbalance, "node[1-8]") == {}


def test_nodes_with_nothing_to_upgrade_are_not_rebooted(clbalance: Command, lab: Lab) -> None:
    for node in NODES:
        (home(clbalance, node) / "version").write_text("2\n")
    before = boots(lab)
    done = clbalance(*upgrade(clbalance), within_s=LONGEST_S)
    assert (done.rc, set(states_of(done).values())) == (0, {"ok"})
    assert boots(lab) == before
    assert drain_reasons(clbalance, "node[1-4]") == {}


def canary_of(done: Done) -> str:
    """The one node that failed; no other one was begun."""
    states = states_of(done)
    canary = next(iter(states))
    assert (states.pop(canary), set(states.values())) == ("failed", {"notstarted"})
    assert nodes_of(done)[canary]["rolled_back"] is True
    return canary


def test_a_canary_that_comes_back_sick_is_undone_and_stays_drained_and_no_other_node_is_touched(
    clbalance: Command, lab: Lab
) -> None:
    assert clbalance("lab", "load", "node[1-4]", "--reboot", "sick").rc == 0
    before = boots(lab)
    done = clbalance(*upgrade(clbalance), within_s=LONGEST_S)
    assert done.rc == 4
    canary = canary_of(done)
    (reason,) = drain_reasons(clbalance, "node[1-4]").values()
    assert list(drain_reasons(clbalance, "node[1-4]")) == [canary]
    assert "play rolling-upgrade run 1 failed: health: sick" in reason
    assert versions(clbalance) == ["1"] * 4
    assert [now != old for now, old in zip(boots(lab), before, strict=True)] == [node == canary for node in NODES]


def test_an_upgrade_that_fails_is_undone_and_the_node_is_not_rebooted(clbalance: Command, lab: Lab) -> None:
    before = boots(lab)
    done = clbalance(*upgrade(clbalance, upgrade='echo half >"$HOME/version"; echo no space >&2; exit 100'))
    assert done.rc == 4
    assert "upgrade: exit code 100: no space" in nodes_of(done)[canary_of(done)]["reason"]
    assert versions(clbalance) == ["1"] * 4
    assert boots(lab) == before


def test_nothing_is_undone_where_nothing_was_noted(clbalance: Command) -> None:
    done = clbalance(*upgrade(clbalance, note="exit 1", undo='touch "$HOME/undone"'))
    canary = canary_of(done)
    assert done.rc == 4
    assert not (home(clbalance, canary) / "undone").exists()
    assert versions(clbalance) == ["1"] * 4


def test_whether_there_is_anything_to_do_must_be_known(clbalance: Command) -> None:
    done = clbalance(*upgrade(clbalance, needed="exit 100"))
    assert (done.rc, versions(clbalance)) == (4, ["1"] * 4)
    assert "look: exit code 100" in nodes_of(done)[canary_of(done)]["reason"]


# -- the programs that it ships

_QUIET = ["-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def program(name: str, folder: Path) -> str:
    """A program of the playbook, which keeps in `folder` what it keeps on a node."""
    text = shipped(FOLDER / "rolling-upgrade.yml").variables[name]
    return text.replace("/var/lib/rolling-upgrade", f"{folder}/kept").replace("/run/reboot-required", f"{folder}/must")


def ran(shell: list[str], text: str, folder: Path, **programs: str) -> "subprocess.CompletedProcess[str]":
    """The program in this shell, on a system that has these programs only, apart from a few usual ones."""
    for name in ("cat", "sed", "grep", "xargs", "mkdir", "test"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, lines in programs.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    argv = [str(shutil.which(shell[0])), *shell[1:], "-euc", text]
    return subprocess.run(argv, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("systemctl", "code"),
    [("echo running", 0), ("[ $1 = --failed ] && echo nfs.service failed || { echo degraded; exit 1; }", 2),
     ("echo starting; exit 1", 3), ("echo only reboots >&2; exit 1", 3), (None, 3)],
    ids=["running", "degraded", "starting", "broken", "none"],
)  # fmt: skip
def test_a_node_is_healthy_only_if_systemd_says_so(
    tmp_path: Path, shell: list[str], systemctl: str | None, code: int
) -> None:
    tools = {} if systemctl is None else {"systemctl": systemctl}
    assert ran(shell, program("healthy", tmp_path), tmp_path, **tools).returncode == code


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("apt_get", "code"),
    [
        ("[ $1 = -s ] && echo Inst linux || exit 0", 0),
        ("exit 0", 1),
        ("echo no network >&2; exit 100", 2),
        ("[ $1 != -s ] || { echo broken packages >&2; exit 100; }", 2),
    ],
    ids=["something", "nothing", "no network", "broken"],
)
def test_apt_tells_whether_there_is_anything_to_upgrade(
    tmp_path: Path, shell: list[str], apt_get: str, code: int
) -> None:
    assert ran(shell, program("needed", tmp_path), tmp_path, apt_get=apt_get).returncode == code


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_undo_installs_the_versions_that_were_noted_of_packages_that_were_there(
    tmp_path: Path, shell: list[str]
) -> None:
    dpkg = "printf '%s\\n' 'ii  bash=5.2' 'hi  linux:amd64=6.1' 'rc  gone=1'"
    assert ran(shell, program("note", tmp_path), tmp_path, dpkg_query=dpkg).returncode == 0
    for name in (tmp_path / one for one in ("cat", "sed", "grep", "xargs", "mkdir", "test")):
        name.unlink()
    undone = ran(shell, program("undo", tmp_path), tmp_path, apt_get='echo "$@"')
    assert undone.stdout.split() == [*_QUIET, "--allow-downgrades", "install", "bash=5.2", "linux:amd64=6.1"]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_upgrade_asks_nobody_what_becomes_of_files_that_were_changed(tmp_path: Path, shell: list[str]) -> None:
    upgraded = ran(shell, program("upgrade", tmp_path), tmp_path, apt_get='echo "$DEBIAN_FRONTEND" "$@"')
    assert upgraded.stdout.split() == ["noninteractive", *_QUIET, "dist-upgrade"]
