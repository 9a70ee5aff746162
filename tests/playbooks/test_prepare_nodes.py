"""`prepare-nodes`: what clbalance needs is there afterwards, or the reason why not; what is right is not touched."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from clbalance.model.playbook import RunProgram, ShellText
from clbalance.playbook.load import load_playbook
from tests.cli.command import Command, Done
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.playbooks.support import FOLDER, given, nodes_of, states_of

NVIDIA, AMD, SOUND = ("0x10de", "0x030200"), ("0x1002", "0x120000"), ("0x10de", "0x040300")


def shared(clbalance: Command) -> Path:  # noqa: F811
    """In place of `/var/lib/clbalance`: the lab's nodes share the machine's files."""
    return clbalance.folder / "shared"


def devices(folder: Path, *found: tuple[str, str]) -> Path:  # noqa: F811
    """PCI devices as the kernel lists them, each with its vendor and its class."""
    for at, (vendor, kind) in enumerate(found):
        device = folder / "devices" / f"0000:0{at}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    return folder / "devices"


def prepared(clbalance: Command, nodes: str, *options: str, **values: str) -> Done:  # noqa: F811
    stand_ins = {
        "folder": str(shared(clbalance)),
        "sshd": "echo maxsessions 10",
        "devices": str(clbalance.folder / "devices"),
        "python": "echo no network >&2; exit 100",
    }
    return clbalance("play", "prepare-nodes", "-w", nodes, "--json", *options, *given(**{**stand_ins, **values}))


def failed(clbalance: Command, node: str, **values: str) -> str:  # noqa: F811
    """Why the node is not ready."""
    done = prepared(clbalance, node, **values)
    assert (done.rc, states_of(done)) == (4, {node: "failed"})
    return str(nodes_of(done)[node]["reason"])


def test_the_node_folder_is_made_and_put_right_and_then_left_alone(clbalance: Command) -> None:  # noqa: F811
    assert prepared(clbalance, "node1").rc == 0
    made = shared(clbalance).stat()
    assert (made.st_uid, oct(made.st_mode)) == (0, "0o41777")
    assert prepared(clbalance, "node1").rc == 0
    assert shared(clbalance).stat().st_ctime_ns == made.st_ctime_ns
    shared(clbalance).chmod(0o755)
    assert prepared(clbalance, "node1").rc == 0
    assert oct(shared(clbalance).stat().st_mode) == "0o41777"


def test_a_node_folder_that_is_a_link_or_a_file_is_refused(clbalance: Command) -> None:  # noqa: F811
    elsewhere = clbalance.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    shared(clbalance).symlink_to(elsewhere)
    assert "shared is a link" in failed(clbalance, "node1")
    assert oct(elsewhere.stat().st_mode) == "0o40700"
    shared(clbalance).unlink()
    shared(clbalance).write_text("mine")
    assert "make the node folder: exit code 1" in failed(clbalance, "node1")
    assert shared(clbalance).read_text() == "mine"


def test_python3_is_installed_where_it_is_missing_and_only_there(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].boot(Fault(without=("python3",)))
    log = clbalance.folder / "installed"
    python = f"echo $CLBALANCE_NODE >>{log}; ln -s {sys.executable} {lab.nodes[0].folder.bin}/python3"
    for _ in range(2):
        assert prepared(clbalance, "node[1-2]", python=python).rc == 0
        assert log.read_text() == "node1\n"


def test_an_installation_that_fails_or_brings_an_old_python3_says_so(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].boot(Fault(without=("python3",)))
    assert failed(clbalance, "node1") == "install python3: exit code 100: no network"
    assert "install python3: exit code 127" in failed(clbalance, "node1", python="true")


def test_sshd_must_allow_enough_sessions_and_tell_it(clbalance: Command) -> None:  # noqa: F811
    said = failed(clbalance, "node1", sshd="echo maxsessions 2")
    assert said == "sessions of sshd: exit code 1: sshd_config: MaxSessions is 2"
    assert prepared(clbalance, "node1", sshd="echo maxsessions 2", sessions="2").rc == 0
    for silent in ("true", "no-such-sshd"):
        assert "exit code 3: unknown: sshd does not tell its settings" in failed(clbalance, "node1", sshd=silent)
    assert "exit code 1" in failed(clbalance, "node1", sshd="echo maxsessions many")


def test_gpus_without_their_tools_are_told_or_get_them(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    devices(clbalance.folder, SOUND, AMD)
    said = failed(clbalance, "node1")
    assert said.startswith("install GPU tools: exit code 2: ")
    assert said.endswith("there are GPUs without their tools, and no program that installs them")
    tool = lab.nodes[0].folder.bin / "rocm-smi"
    text = f"printf '#!/bin/sh\\n' >{tool} && chmod +x {tool}"
    assert prepared(clbalance, "node1", gpu_tools=text).rc == 0
    theirs = devices(clbalance.folder / "node5", NVIDIA)
    assert prepared(clbalance, "node5", devices=str(theirs)).rc == 0, "it has them"


def test_gpu_tools_that_fail_are_not_taken_for_good(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[4].load(gpu_tool="fail")
    assert "ask the GPU tools: exit code 9" in failed(clbalance, "node5")


def test_a_node_that_is_down_or_hangs_fails_alone(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].kill()
    done = prepared(clbalance, "node[1-2]")
    assert (done.rc, states_of(done)) == (4, {"node1": "failed", "node2": "ok"})
    lab.nodes[2].hang()
    assert prepared(clbalance, "node3", "-t", "1", "-u", "1").rc == 4


SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("found", "rc"), [((), 0), ((SOUND,), 0), ((SOUND, NVIDIA), 1), ((AMD,), 1)], ids=["none", "sound", "nvidia", "amd"]
)
def test_gpus_are_seen_by_any_shell(
    tmp_path: Path, shell: list[str], found: tuple[tuple[str, str], ...], rc: int
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]}")
    book = load_playbook((FOLDER / "prepare-nodes.yml").read_bytes(), "prepare-nodes.yml")
    (action,) = (step.action for step in book.steps if step.name == "look for GPU tools")
    assert isinstance(action, RunProgram)
    assert isinstance(action.program, ShellText)
    env = {"PATH": "/usr/bin:/bin", "VAR_devices": str(devices(tmp_path, *found))}
    ran = subprocess.run([*shell, "-c", action.program.text], env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (rc, "")
