"""Jobs that a real Slurm runs: one lab, whose last node is Slurm's."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import SYSTEM_PATH
from clbalance.lab.spec import LabSpec
from tests.cli.command import THIS_TREE, Command
from tests.conftest import bring_up, environment_of
from tests.waiting import eventually

pytestmark = [pytest.mark.sshd, pytest.mark.root]

NODE = "node2"
SLURM = ("--engine", "slurm", "-w", NODE)
DOWN = {"SLURM_CONF": "/dev/null"}
"""No program of Slurm finds its controller so."""


@pytest.fixture(scope="module")
def cluster(openssh: None) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield bring_up(stack, LabSpec(nodes=2, gpus=0, tied=True, slurm=True))


@pytest.fixture
def command(cluster: Lab, tmp_path: Path) -> Iterator[Command]:
    # A detached job that a test has left is ended by the next one that wants its node.
    opened = Command(env={**environment_of(cluster, tmp_path), **THIS_TREE}, folder=tmp_path)
    with opened.opened:
        yield opened


def slurms(lab: Lab, *argv: str) -> str:
    """What a program of Slurm prints on the submit host."""
    env = lab.environment({**os.environ, "PATH": SYSTEM_PATH})
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def one_job(command: Command, *options: str) -> dict[str, object]:
    (job,) = json.loads(command("jobs", "--ended", "--json", *options).text)["jobs"]
    return dict(job)


def submissions(lab: Lab, command: Command) -> list[str]:
    """The jobs of Slurm that belong to the only job of this test."""
    key = one_job(command)["key"]
    names = slurms(lab, "squeue", "--noheader", "--states=all", "--format=%j").split()
    return [name for name in names if name.startswith(f"{key}.")]


def test_output_and_exit_code_of_a_job_come_back(command: Command) -> None:
    text = "echo $CLBALANCE_NODE $CLBALANCE_NNODES $CLBALANCE_NODEID; echo oh >&2; cat; exit 7"
    done = command("run", *SLURM, "--stdin", "-", "-c", text, stdin=b"hello\n")
    assert (done.rc, done.text) == (7, f"{NODE} 1 0\nhello\n")
    assert "oh\n" in done.stderr
    assert f"on {NODE}, chosen by slurm" in done.stderr


def test_a_script_runs_with_its_arguments_where_it_was_submitted(command: Command, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text('pwd; printf "%s|" "$0" "$@" >args; umask')
    (tmp_path / "clbalance.toml").write_text('[engine]\nbatch = "slurm"\n')
    done = command("run", "-g", "batch", "--name", "it's", "job.sh", "a b", "$c")
    assert (done.rc, done.lines[0]) == (0, str(tmp_path))
    assert (tmp_path / "args").read_text().endswith("/script|a b|$c|")


def test_a_detached_job_is_shown_followed_and_waited_for_and_ended(command: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = command("run", *SLURM, "--detach", "-c", f"echo first; while ! [ -e {gate} ]; do sleep .1; done; exit 3").text
    number = job.strip()
    eventually(lambda: one_job(command)["state"] == "RUNNING")
    assert one_job(command)["node_set"] == NODE
    eventually(lambda: command("logs", number).text == "first\n")
    after = command("run", *SLURM, "--detach", "--after", number, "--", "true").text.strip()
    eventually(lambda: "Slurm: Dependency" in command("jobs").text)
    gate.touch()
    assert command("wait", number).rc == 3
    # Slurm ends a job whose dependency cannot be satisfied any more.
    assert command("wait", after).rc == 125


def test_a_cancelled_job_ends_with_our_reason(command: Command) -> None:
    number = command("run", *SLURM, "--detach", "--", "sleep", "600").text.strip()
    eventually(lambda: one_job(command)["state"] == "RUNNING")
    assert command("cancel", number).rc == 0
    assert command("wait", number).rc == 125
    assert "cancelled by" in str(one_job(command)["reason"])


@pytest.mark.parametrize(
    ("point", "state", "ran"),
    [
        pytest.param("submitted", "CANCELLED", 0, id="before it is recorded as submitted"),
        pytest.param("launch_recorded", "FAILED", 0, id="before sbatch"),
        pytest.param("submitted_there", "COMPLETED", 1, id="before its answer is recorded"),
    ],
)
def test_a_killed_run_loses_no_job_and_submits_none_twice(
    command: Command, cluster: Lab, tmp_path: Path, point: str, state: str, ran: int
) -> None:
    log = tmp_path / "ran"
    killed = command("run", *SLURM, "-c", f"echo x >>{log}", env={"CLBALANCE_FAIL_AT": point})
    assert killed.rc == -9
    command("wait", "last")
    assert one_job(command)["state"] == state
    assert len(log.read_text().split() if log.exists() else []) == ran
    assert len(submissions(cluster, command)) == ran


def test_an_attempt_that_was_given_up_never_runs_even_if_it_is_submitted_late(
    command: Command, cluster: Lab, tmp_path: Path
) -> None:
    log = tmp_path / "ran"
    stopped = {"CLBALANCE_FAIL_AT": "submitted_there"}
    command(
        "run", *SLURM, "-c", f"echo x >>{log}", env={**stopped, "PATH": f"{_without_sbatch(tmp_path)}:/usr/bin:/bin"}
    )
    assert command("wait", "last").rc == 125
    (folder,) = (tmp_path / "state" / "slurm").iterdir()
    late = tmp_path / "late"
    slurms(cluster, "sbatch", f"--output={late}", "-w", NODE, f"{folder}/batch")
    eventually(lambda: "was withdrawn" in late.read_text())
    assert not log.exists()


def _without_sbatch(folder: Path) -> Path:
    """Where an `sbatch` lies that does nothing, as one whose answer is lost."""
    (folder / "bin").mkdir()
    (folder / "bin" / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (folder / "bin" / "sbatch").chmod(0o755)
    return folder / "bin"


def test_a_slurm_that_does_not_answer_is_no_end_of_a_job(command: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    number = command("run", *SLURM, "--detach", "-c", f"while ! [ -e {gate} ]; do sleep .1; done").text.strip()
    eventually(lambda: one_job(command)["state"] == "RUNNING")
    asked = command("jobs", env=DOWN)
    assert (asked.rc, "RUNNING" in asked.text, "Slurm does not answer" in asked.text) == (4, True, True)
    gate.touch()
    assert command("wait", number).rc == 0
    refused = command("run", *SLURM, "--", "true", env=DOWN)
    assert (refused.rc, "Slurm does not answer" in refused.stderr) == (125, True)
