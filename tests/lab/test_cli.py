"""`clbalance lab` as it is typed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.leftovers import lab_folder, marked

Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clbalance_lab(openssh: None, tmp_path: Path) -> Iterator[Lab]:
    folder = lab_folder()
    directory = folder / "lab"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLBALANCE_LAB_DIR": str(directory), **marked()}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "clbalance", "lab", *arguments]
        return subprocess.run(argv, env=env | more, capture_output=True, text=True, timeout=60, check=False)

    yield run
    run("down")
    assert not directory.exists()
    shutil.rmtree(folder)


pytestmark = pytest.mark.sshd


def test_a_whole_life_of_a_lab(clbalance_lab: Lab) -> None:
    up = clbalance_lab("up", "3", "--cpus", "8", "--mem", "32G", "--json")
    assert (up.returncode, [node["name"] for node in json.loads(up.stdout)["nodes"]]) == (
        0,
        ["node1", "node2", "node3"],
    )
    assert "3 nodes are up in " in up.stderr

    assert clbalance_lab("load", "@cpu", "node3", "--r1m", "2.5", "--ut", "30").returncode == 0
    assert clbalance_lab("load", "node[2-3]", "--gpu", "0:50:1G").returncode == 0
    assert clbalance_lab("hang", "node2").returncode == 0
    assert clbalance_lab("kill", "node3").returncode == 0

    table = clbalance_lab("status").stdout.splitlines()
    assert [line.split()[:6] for line in table] == [
        ["NODE", "STATE", "CPUS", "GPUS", "r1m", "ut%"],
        ["node1", "up", "8", "0", "2.50", "30"],
        ["node2", "hung", "8", "2", "0.00", "0"],
        ["node3", "down", "8", "2", "-", "-"],
    ]
    assert clbalance_lab("thaw", "node2").returncode == 0
    assert clbalance_lab("boot", "node3").returncode == 0
    document = json.loads(clbalance_lab("status", "--json").stdout)
    assert document["schema"] == 1
    assert [(node["name"], node["state"], len(node["processes"])) for node in document["nodes"]] == [
        ("node1", "up", 2),
        ("node2", "up", 2),
        ("node3", "up", 2),
    ]

    assert clbalance_lab("down").returncode == 0
    again = clbalance_lab("down")
    assert (again.returncode, again.stdout) == (0, "")
    assert "no lab is up in " in again.stderr


def test_its_environment_points_ssh_scp_and_clush_at_it(clbalance_lab: Lab, tmp_path: Path) -> None:
    assert clbalance_lab("up", "2").stdout == ""
    exports = clbalance_lab("env", CLBALANCE_FORMAT="json").stdout  # a shell reads it, whatever else programs read
    variables = json.loads(clbalance_lab("env", "--json").stdout)["variables"]
    assert f"export CLBALANCE_LAB_DIR={variables['CLBALANCE_LAB_DIR']}\n" in exports
    (tmp_path / "file").write_text("content")
    script = f"""{exports}
        ssh node1 hostname; scp -q {tmp_path}/file node2:copied && ssh node2 cat copied; echo
        {Path(sys.executable).parent}/clush -L -w @all 'echo $CLBALANCE_PROCFS'; echo "$CLBALANCE_SSH_OPTIONS"
    """
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    directory = exports.partition("CLBALANCE_LAB_DIR=")[2].splitlines()[0]
    _, copied, one, two, options = done.stdout.splitlines()
    assert copied == "content"
    assert (one, two) == (f"node1: {directory}/node1/proc", f"node2: {directory}/node2/proc")
    assert options == f"-F {directory}/ssh_config"
    assert clbalance_lab("env", PATH=f"{directory}/bin:/usr/bin").stdout.count(f"{directory}/bin") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["up", "0"], 2, "the number of nodes is 0"),
        (["up", "many"], 2, "many"),
        (["up", "2", "--mem", "lots"], 2, "'lots' is not a size"),
        (["up", "2", "--users", "a;b"], 2, "is not a user name"),
        (["up", "2", "--users", "alice:/no/shell"], 2, "no shell `/no/shell`"),
        (["up", "2", "--isolation", "docker"], 2, "not a kind of isolation"),
        (["up", "2", "--dir", "/dev/null/x"], 1, "cannot make /dev/null/x"),
        (["load", "node1", "--r1m", "1"], 1, "no lab is up"),
        (["status"], 1, "no lab is up"),
        (["env"], 1, "no lab is up"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_told_without_a_traceback(
    clbalance_lab: Lab, arguments: list[str], code: int, words: str
) -> None:
    done = clbalance_lab(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nodes_that_are_not_there_are_told_without_a_traceback(clbalance_lab: Lab) -> None:
    clbalance_lab("up", "1")
    for nodes, words in (
        ("node2", "no node `node2`"),
        ("@no", "no group `no`"),
        ("-oProxyCommand=x", "-oProxyCommand"),
    ):
        done = clbalance_lab("kill", "--", nodes)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert clbalance_lab("load", "node1", "--ut", "200").returncode == 2
    assert clbalance_lab("load", "node1", "--io", "-1").returncode == 2
