"""`clbalance doctor` on a cluster and without one: what is wrong, what to type, and exit code 4 only for that."""

import json
import os
import pwd
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault, LabNode
from clbalance.lab.spec import LabSpec
from clbalance.render.reports.admin.doctor import FACT_KEYS
from tests.cli.command import THIS_TREE, Command, Done
from tests.cli.held_jobs import LATER
from tests.cli.run.test_run_ends import PYTHONS
from tests.cli.test_startup import packages
from tests.conftest import NewLab, environment_of
from tests.waiting import SOON_S


def findings(done: Done) -> list[dict[str, Any]]:
    """What it tells a program; every finding has something to type."""
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert all(one["hint"] and one["what"] for one in document["findings"])
    return list(document["findings"])


def brief(done: Done) -> set[tuple[str | None, str, str]]:
    return {(one["node"], one["severity"], one["check"]) for one in findings(done)}


def test_a_healthy_cluster_has_nothing_wrong(clbalance: Command) -> None:
    done = clbalance("doctor", "--json")
    assert (done.rc, brief(done)) == (0, set())
    nodes = json.loads(done.stdout)["nodes"]
    assert [(node["name"], node["state"], node["reason"]) for node in nodes] == [
        (f"node{n}", "up", None) for n in range(1, 9)
    ]
    for node in nodes:
        assert set(FACT_KEYS) < node.keys()
        assert (node["uid"], node["clock_offset_s"], node["unknown"]) == (os.getuid(), 0.0, {})
        (folder,) = node["folders"]
        assert folder["path"] == f"{clbalance.env['CLBALANCE_LAB_DIR']}/{node['name']}/var"
        assert folder["writable"]
    quiet = clbalance("doctor")
    assert (quiet.rc, quiet.stdout) == (0, b"")
    assert quiet.stderr == "clbalance: this host and 8 nodes: no problems\n"


def test_every_sick_node_is_told_with_what_to_type_and_none_delays_the_others(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    lab.node("node2").kill()
    lab.node("node3").boot(Fault(without=PYTHONS))
    lab.node("node4").hang()
    lab.node("node5").boot(Fault(other_host_key=True))
    (lab.node("node6").folder.var / f"clbalance-{os.getuid()}").symlink_to("/")
    began = time.monotonic()
    done = clbalance("doctor", "node[1-7]", "--json", *LATER)
    assert time.monotonic() - began < SOON_S
    assert (done.rc, brief(done)) == (
        4,
        {
            ("node1", "wrong", "reach"),
            ("node2", "wrong", "reach"),
            ("node3", "wrong", "python"),
            ("node4", "wrong", "reach"),
            ("node5", "wrong", "reach"),
            ("node6", "note", "node_dir"),
        },
    )
    hints = {one["node"]: one["hint"] for one in findings(done)}
    known = lab.ssh_config.parent / "known_hosts"
    assert f"`ssh-keygen -f {known} -R node5`" in hints["node5"], "by the lab's ssh_config, as ssh itself reads it"
    assert "nothing listens on its port 2222: `systemctl start ssh`" in hints["node1"]
    states = {node["name"]: (node["state"], node["cause"]) for node in json.loads(done.stdout)["nodes"]}
    assert states["node1"] == ("down", "connection refused")
    assert states["node7"] == ("up", None)

    shown = clbalance("doctor", "node[1-3,6]")
    assert shown.rc == 4
    assert "wrong     reach     node[1-2]: connection refused" in shown.lines
    assert "wrong     python    node3: no python3 on the PATH: jobs need one" in shown.lines
    assert shown.stderr == "clbalance: this host and 4 nodes (2 silent): 2 problems, 1 note\n"


def test_an_ssh_config_that_hangs_delays_the_hints_for_a_moment_only(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    slow = clbalance.folder / "ssh_config"
    match = f'Match originalhost node1 exec "test -e {clbalance.folder}/asked && sleep 300"'
    slow.write_text(f"{match}\n{lab.ssh_config.read_text()}")
    (clbalance.folder / "asked").touch()
    began = time.monotonic()
    done = clbalance("doctor", "node1", "--json", "-t", "2", env={"CLBALANCE_SSH_OPTIONS": f"-F {slow}"})
    assert time.monotonic() - began < SOON_S
    (found,) = (one for one in findings(done) if one["check"] == "reach")
    assert found["hint"]


def test_a_squatted_folder_is_a_note_while_another_name_is_left(lab: Lab, clbalance: Command) -> None:
    var = lab.node("node1").folder.var
    (var / f"clbalance-{os.getuid()}").write_text("mine")
    done = clbalance("doctor", "node1", "--format", "plain")
    assert done.rc == 0
    severity, node, check, what, hint = done.lines[0].split("\t")
    assert (severity, node, check) == ("note", "node1", "node_dir")
    assert "it is no folder" in what
    assert "rm" in hint
    for number in range(1, 10):
        (var / f"clbalance-{os.getuid()}-{number}").write_text("mine too")
    assert clbalance("doctor", "node1").rc == 4


@pytest.mark.root
def test_one_of_another_user_is_told_with_whose_it_is(lab: Lab, clbalance: Command) -> None:
    home = lab.node("node1").folder.var / "clbalance-0"
    home.mkdir()
    os.chown(home, 2001, 2001)
    (found,) = findings(clbalance("doctor", "node1", "--json"))
    assert "it belongs to uid 2001" in found["what"]


def test_a_folder_that_others_may_empty_is_wrong(lab: Lab, clbalance: Command) -> None:
    var = lab.node("node1").folder.var
    var.chmod(0o777)
    try:
        assert brief(clbalance("doctor", "node1", "--json")) == {("node1", "wrong", "node_dir")}
    finally:
        var.chmod(0o1777)


def test_it_writes_nothing_on_a_node(lab: Lab, clbalance: Command) -> None:
    folder = lab.node("node1").folder
    assert clbalance("doctor", "node1").rc == 0
    assert [list(place.iterdir()) for place in (folder.var, folder.tmp)] == [[], []]


def test_nodes_are_named_as_everywhere(clbalance: Command) -> None:
    done = clbalance("doctor", "node1", "-w", "node2", "-g", "rack2", "-x", "node[5-6]", "--json")
    assert [node["name"] for node in json.loads(done.stdout)["nodes"]] == ["node1", "node2", "node7", "node8"]


@pytest.mark.parametrize(
    "arguments",
    [("-g", "nowhere"), ("a;b",), ("-x", "a;b"), ("--groups-conf", "no-such-file"), ("-f", "0", "node1"), ("--nodez",)],
    ids=" ".join,
)
def test_what_was_typed_wrong_is_a_usage_error(clbalance: Command, arguments: tuple[str, ...]) -> None:
    done = clbalance("doctor", *arguments)
    assert (done.rc, done.stdout) == (2, b"")
    assert "\nhint: " in done.stderr


def test_bad_settings_are_a_finding_and_no_node_is_asked(clbalance: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text("[ssh]\nfan_out = 3\n")
    done = clbalance("doctor", "node1", "--json")
    (found,) = findings(done)
    assert (done.rc, found["node"], found["severity"], found["check"]) == (4, None, "wrong", "settings")
    assert "`ssh.fanout`" in found["hint"]
    assert json.loads(done.stdout)["nodes"] == []


def test_bad_groups_are_findings(clbalance: Command, folder: Path) -> None:
    conf = folder / "groups.conf"
    conf.write_text("no header\n")
    env = {"CLBALANCE_GROUPS_CONF": str(conf)}
    assert brief(clbalance("doctor", "node1", "--json", env=env)) == {(None, "wrong", "groups")}

    lines = "good) echo node1 ;; empty) : ;; evil) echo 'a;b' ;;"
    conf.write_text(
        "[Main]\ndefault: mine\n[mine]\n"
        f"map: case $GROUP in {lines} esac\nlist: echo good empty evil\nall: echo node1\n"
    )
    done = clbalance("doctor", "--json", env=env)
    assert brief(done) == {(None, "wrong", "groups"), (None, "note", "groups")}
    assert ["`evil`" in one["what"] or "empty" in one["what"] for one in findings(done)] == [True, True]
    assert [node["name"] for node in json.loads(done.stdout)["nodes"]] == ["node1"]


def test_a_state_that_cannot_be_kept_is_a_finding_and_nodes_are_asked(clbalance: Command, folder: Path) -> None:
    (folder / "state").write_text("a file")
    done = clbalance("doctor", "node1", "--json", env={"CLBALANCE_STATE_DIR": str(folder / "state")})
    assert (done.rc, brief(done)) == (4, {(None, "wrong", "state")})
    assert len(json.loads(done.stdout)["nodes"]) == 1
    assert "continuing without the state database" not in done.stderr


def test_a_missing_ssh_is_a_finding(clbalance: Command, folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/sh").symlink_to("/bin/sh")  # for the groups
    done = clbalance("doctor", "node1", "--json", env={"PATH": str(folder / "bin")})
    assert done.rc == 4
    assert (None, "wrong", "ssh") in brief(done)


def test_without_a_cluster_only_this_host_is_looked_at_and_it_says_how_to_check_nodes(alone: Command) -> None:
    done = alone("doctor")
    assert done.rc == 0
    assert "no nodes named and no groups configured: only this host was checked" in done.text
    assert "`clbalance doctor node[1-4]`" in done.text
    assert json.loads(alone("doctor", "--json").stdout)["nodes"] == []


def test_all_nodes_that_cannot_be_named_are_a_finding(alone: Command, folder: Path) -> None:
    (folder / "groups.conf").write_text("[Main]\ndefault: mine\n[mine]\nmap: echo\n")
    done = alone("doctor", "--json", env={"CLBALANCE_GROUPS_CONF": str(folder / "groups.conf")})
    assert (done.rc, brief(done)) == (4, {(None, "wrong", "nodes")})


def test_colours_are_for_terminals(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    terminal = clbalance.on_terminal("doctor", "node1", columns=60)
    assert terminal.end() == 4
    assert any(line.startswith("wrong") for line in terminal.lines)
    assert "red" in terminal.colors()
    assert b"\x1b" not in clbalance("doctor", "node1").stdout


def test_start_up_stays_quick(clbalance: Command) -> None:
    helped = packages(clbalance, "doctor", "--help")
    assert helped.isdisjoint({"ClusterShell", "rich", "msgspec", "sqlite3", "psutil"})
    assert packages(clbalance, "doctor", "node1").isdisjoint({"rich", "psutil", "paramiko", "prompt_toolkit"})


def told(done: Done, check: str) -> tuple[str, str, str]:
    """Severity, text and hint of the one finding of this check; nothing else is wrong."""
    (found,) = [one for one in findings(done) if one["check"] == check or one["severity"] == "wrong"]
    assert found["check"] == check
    return found["severity"], found["what"], found["hint"]


@pytest.fixture
def spoilt(new_lab: NewLab, tmp_path: Path) -> Iterator[tuple[LabNode, Command]]:
    """A node with two GPUs that a test may spoil for good, and the command."""
    lab = new_lab(LabSpec(nodes=1))
    command = Command(env={**environment_of(lab, tmp_path), **THIS_TREE}, folder=tmp_path)
    with command.opened:
        yield lab.node("node1"), command


def test_a_boot_id_that_cannot_be_read_is_wrong_because_no_job_can_start(spoilt: tuple[LabNode, Command]) -> None:
    node, clbalance = spoilt
    (node.folder.proc / "sys/kernel/random/boot_id").unlink()
    assert clbalance("run", "-w", "node1", "--", "true").rc == 125
    done = clbalance("doctor", "--json")
    severity, what, hint = told(done, "boot_id")
    assert (done.rc, severity) == (4, "wrong")
    assert "no job can be started" in what
    assert "boot_id" in hint
    assert "1 problem" in clbalance("doctor").stderr


def test_a_load_that_is_unknown_is_wrong_because_no_job_is_placed_there(spoilt: tuple[LabNode, Command]) -> None:
    node, clbalance = spoilt
    (node.folder.proc / "meminfo").unlink()
    assert clbalance("pick", "-w", "node1").rc == 3
    done = clbalance("doctor", "--json")
    assert done.rc == 4
    assert told(done, "load")[:2] == (
        "wrong",
        "its memory is unknown, so no job is placed there: no /proc/meminfo",
    )


def test_swap_that_makes_no_sense_is_noted_and_the_node_takes_jobs(spoilt: tuple[LabNode, Command]) -> None:
    node, clbalance = spoilt
    meminfo = node.folder.proc / "meminfo"
    text = re.sub(r"SwapFree: *[0-9]+", "SwapFree: 18446744073709346016", meminfo.read_text())
    meminfo.write_text(text)
    done = clbalance("doctor", "--json")
    assert (done.rc, told(done, "load")[0]) == (0, "note")
    assert clbalance("run", "-q", "-w", "node1", "-c", "echo ran").text == "ran\n"
    (parsed,) = json.loads(clbalance("load", "--json").stdout)["nodes"]
    assert (parsed["state"], parsed["swp_free_bytes"]) == ("up", None)
    assert parsed["unknown"]["swp_free_bytes"] == "SwapFree in /proc/meminfo makes no sense"


def test_a_python_that_hangs_is_wrong(spoilt: tuple[LabNode, Command]) -> None:
    node, clbalance = spoilt
    (node.folder.bin / "python3").write_text("#!/bin/sh\nexec sleep 600\n")
    (node.folder.bin / "python3").chmod(0o755)
    done = clbalance("doctor", "--json")
    assert (done.rc, told(done, "python")[0]) == (4, "wrong")


@pytest.mark.parametrize("line", ["read -r answer", "read -r one; read -r two", "echo hello; read -r name"])
@pytest.mark.skipif(pwd.getpwuid(os.getuid()).pw_shell != "/bin/bash", reason="bash reads ~/.bashrc for ssh")
def test_a_start_up_file_that_reads_standard_input_is_wrong(spoilt: tuple[LabNode, Command], line: str) -> None:
    node, clbalance = spoilt
    (home,) = (node.folder.path / "home").glob(pwd.getpwuid(os.getuid()).pw_name)
    (home / ".bashrc").write_text(f"{line}\n")
    assert clbalance("run", "-w", "node1", "--", "true").rc == 125
    assert "reads standard input: `clbalance doctor` tells more" in clbalance("reap", "-w", "node1").text
    done = clbalance("doctor", "--json")
    severity, what, hint = told(done, "login")
    assert (done.rc, severity) == (4, "wrong")
    assert "reads standard input" in what
    assert ".bashrc" in hint


@pytest.mark.parametrize(
    ("load", "part"),
    [
        ({"gpu_faults": ((1, "ecc"),)}, "GPU 1 is faulty, so it is not allocated: 2 uncorrected ECC errors"),
        ({"gpu_faults": ((0, "stuck"),)}, "GPU 0 is faulty, so it is not allocated: GPU requires reset"),
        ({"gpu_faults": ((1, "silent"),)}, "GPU 1 is not allocated, for its memory unknown: [Unknown Error]"),
        ({"gpu_tool": "fail"}, "its GPUs are unknown, so none is allocated: NVIDIA-SMI has failed"),
        ({"gpu_tool": "hang"}, "its GPUs are unknown, so none is allocated: `nvidia-smi` timed out"),
    ],
)
def test_a_sick_gpu_is_wrong(lab: Lab, clbalance: Command, load: dict[str, Any], part: str) -> None:
    lab.node("node8").load(**load)
    done = clbalance("doctor", "node8", "--json")
    severity, what, hint = told(done, "gpus")
    assert (done.rc, severity) == (4, "wrong")
    assert what.startswith(part)
    assert "nvidia-smi" in hint


def test_leases_that_cannot_be_counted_are_wrong(spoilt: tuple[LabNode, Command]) -> None:
    node, clbalance = spoilt
    (node.folder.bin / "stat").write_text("#!/bin/sh\nexec sleep 600\n")
    (node.folder.bin / "stat").chmod(0o755)
    home = node.folder.var / f"clbalance-{os.getuid()}"
    home.mkdir(mode=0o755)
    (home / "lease-0123.1").write_text("{}")
    done = clbalance("doctor", "--json")
    assert done.rc == 4
    # The job folder cannot be looked at either.
    assert brief(done) == {("node1", "wrong", "leases"), ("node1", "wrong", "node_dir")}
