"""The recipes of docs/guide/library.md: other programs on the nodes that clbalance picks."""

import json
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from clbalance.lab.cluster import Lab
from tests.cli.command import TIMEOUT_S, Command, eventually, nothing_left

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SNAKEMAKE = EXAMPLES / "snakemake"


def shell(command: Command, text: str) -> str:
    """What a program prints that calls this by a shell."""
    bin_folder = Path(sys.executable).parent
    env = {**command.env, "PATH": f"{SNAKEMAKE}:{bin_folder}:{command.env['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", text], env=env, cwd=command.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class ClusterGeneric:
    """Calls the three commands of the profile as snakemake-executor-plugin-cluster-generic 1.0 does."""

    def __init__(self, command: Command) -> None:
        profile = yaml.safe_load((SNAKEMAKE / "config.yaml").read_text())
        assert profile["executor"] == "cluster-generic"
        self._command = command
        self._commands = {name: profile[f"cluster-generic-{name}-cmd"] for name in ("submit", "status", "cancel")}

    def submit(self, rule: str, text: str) -> str:
        """The job's external id: the first line of what the submit command prints."""
        script = self._command.folder / f"snakejob.{rule}.1.sh"
        script.write_text(f"#!/bin/sh\n# properties = {{}}\n{text}\n")
        resources = type("Resources", (), {"mem_mb": 100})
        submit = self._commands["submit"].format(rule=rule, threads=1, resources=resources)
        return shell(self._command, f'{submit} "{script}"').split("\n")[0].strip()

    def status(self, job: str) -> str:
        (line,) = shell(self._command, f"{self._commands['status']} '{job}'").strip().split("\n")
        return line

    def cancel(self, *jobs: str) -> None:
        shell(self._command, shlex.join([self._commands["cancel"], *jobs]))


def test_the_commands_for_snakemake_submit_tell_and_cancel(clbalance: Command, lab: Lab) -> None:
    snakemake = ClusterGeneric(clbalance)
    with nothing_left(lab):
        good, bad = snakemake.submit("good", "echo done > out"), snakemake.submit("bad", "exit 1")
        endless = snakemake.submit("endless", "exec sleep 1000")
        eventually(lambda: snakemake.status(good) == "success")
        assert (clbalance.folder / "out").read_text() == "done\n"
        eventually(lambda: snakemake.status(bad) == "failed")
        assert snakemake.status(endless) == "running"
        snakemake.cancel(good, endless)
        eventually(lambda: snakemake.status(endless) == "failed")
    jobs = json.loads(clbalance("jobs", "--ended", "--json").stdout)["jobs"]
    assert {job["name"]: job["state"] for job in jobs} == {"good": "COMPLETED", "bad": "FAILED", "endless": "CANCELLED"}


def test_parallel_starts_jobs_on_the_nodes_that_were_picked(clbalance: Command, lab: Lab) -> None:
    if shutil.which("parallel") is None:
        pytest.skip("GNU parallel is not installed")
    lab.node("node1").load(r1m=3.0)
    logins = shell(clbalance, f"{EXAMPLES}/parallel/logins.sh 2 -w 'node[1-3]' | tee logins")
    assert logins == "node2\nnode3\n"
    said = shell(clbalance, r"parallel --will-cite --sshloginfile logins 'echo {} $(hostname)' ::: a b c")
    assert {line.split()[0] for line in said.splitlines()} == {"a", "b", "c"}
    assert {line.split()[1] for line in said.splitlines()} <= {"node2", "node3"}


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("distributed", "asyncssh")),
    reason="Dask or asyncssh is not installed: `.venv/bin/pip install distributed asyncssh`",
)
def test_dask_has_its_workers_on_the_nodes_that_were_picked(clbalance: Command, lab: Lab) -> None:
    options = json.dumps({"config": [str(lab.ssh_config)]})
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "dask" / "ssh_cluster.py"), "node[1-3]"],
        env={**clbalance.env, "DASK_CONNECT_OPTIONS": options, "DASK_DISTRIBUTED__DASHBOARD__LINK": ""},
        cwd=clbalance.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "285 from 2 workers\n"
