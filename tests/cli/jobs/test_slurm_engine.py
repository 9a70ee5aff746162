"""Jobs of both engines on one lab, whose last node is a real Slurm's; and what only Slurm may do to a job."""

import contextlib
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import SYSTEM_PATH
from clbalance.lab.spec import LabSpec
from tests.cli.command import THIS_TREE, Command, killed
from tests.conftest import bring_up, environment_of
from tests.waiting import eventually

pytestmark = [pytest.mark.sshd, pytest.mark.root]

NODE = "node4"
SLURM = ("--engine", "slurm", "-w", NODE)
DOWN = {"SLURM_CONF": "/dev/null"}
"""No program of Slurm finds its controller so."""


@pytest.fixture(scope="module")
def cluster(openssh: None) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield bring_up(stack, LabSpec(nodes=4, gpus=0, tied=True, slurm=True))


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


def one_job(command: Command, env: Mapping[str, str] | None = None) -> dict[str, object]:
    (job,) = json.loads(command("jobs", "--ended", "--json", env=env).text)["jobs"]
    return dict(job)


def submissions(lab: Lab, command: Command) -> list[str]:
    """The jobs of Slurm that belong to the only job of this test."""
    key = one_job(command)["key"]
    names = slurms(lab, "squeue", "--noheader", "--states=all", "--format=%j").split()
    return [name for name in names if name.startswith(f"{key}.")]


# -- what every engine promises, ours included ----------------------------------------------------


@pytest.fixture(params=["ssh", "slurm"])
def on(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options for the last node, by one engine or the other."""
    return ("--engine", request.param, "-w", NODE)


def test_output_input_and_exit_code_of_a_job_are_passed_on(command: Command, on: tuple[str, ...]) -> None:
    text = "echo $CLBALANCE_NODE $CLBALANCE_NNODES $CLBALANCE_NODEID; echo oh >&2; cat; exit 7"
    done = command("run", *on, "--stdin", "-", "-c", text, stdin=b"hello\n")
    assert (done.rc, done.text) == (7, f"{NODE} 1 0\nhello\n")
    assert "oh\n" in done.stderr
    assert f"on {NODE}" in done.stderr


def test_a_detached_job_is_shown_followed_and_waited_for(command: Command, on: tuple[str, ...], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    number = command("run", *on, "--detach", "-c", f"echo first; until [ -e {gate} ]; do sleep .1; done; exit 3").text
    eventually(lambda: one_job(command)["state"] == "RUNNING")
    assert one_job(command)["node_set"] == NODE
    eventually(lambda: command("logs", "last").text == "first\n")
    gate.touch()
    assert command("wait", number.strip()).rc == 3


def test_a_cancelled_job_ends_with_our_reason(command: Command, on: tuple[str, ...]) -> None:
    number = command("run", *on, "--detach", "--", "sleep", "600").text.strip()
    eventually(lambda: one_job(command)["state"] == "RUNNING")
    assert command("cancel", number).rc == 0
    assert command("wait", number).rc == 125
    assert "cancelled by" in str(one_job(command)["reason"])


# -- Slurm alone ----------------------------------------------------------------------------------


def test_a_script_runs_with_its_arguments_where_it_was_submitted(command: Command, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text('pwd; printf "%s|" "$0" "$@" >args')
    (tmp_path / "clbalance.toml").write_text('[engine]\nbatch = "slurm"\n')
    done = command("run", "-g", "batch", "--name", "it's", "job.sh", "a b", "$c")
    assert (done.rc, done.lines[0]) == (0, str(tmp_path))
    assert (tmp_path / "args").read_text().endswith("/script|a b|$c|")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--queue-for", "1h"), "`--queue-for` cannot go with `--engine slurm`"),
        (("--where", "ut < 10"), "`--where` cannot go with `--engine slurm`"),
        (("--array", "0-3"), "cannot go with `--engine slurm`"),
        (("--detach", "--retry", "1"), "`--detach --retry` cannot go"),
    ],
)
def test_what_slurm_has_no_word_for_is_refused_before_the_job_has_a_number(
    command: Command, options: tuple[str, ...], said: str
) -> None:
    done = command("run", *SLURM, *options, "--", "true")
    assert (done.rc, said in done.stderr) == (2, True)
    assert json.loads(command("jobs", "--ended", "--json").text)["jobs"] == []


def test_a_job_that_is_run_again_is_a_new_attempt_with_a_node_of_its_own(command: Command) -> None:
    done = command("run", *SLURM, "--retry", "1", "-c", "echo $CLBALANCE_RESTART_COUNT; exit 3")
    assert (done.rc, done.text) == (3, "0\n1\n")
    assert one_job(command)["node_set"] == NODE


def test_a_node_is_drained_and_resumed_in_slurm(command: Command, cluster: Lab) -> None:
    def state() -> str:
        return slurms(cluster, "sinfo", "--noheader", "--nodes=node3", "--format=%T %E").strip()

    assert command("drain", "--engine", "slurm", "node3", "--reason", "a new disk").rc == 0
    eventually(lambda: "drain" in state() and "a new disk" in state())
    assert command("resume", "--engine", "slurm", "node3").rc == 0
    eventually(lambda: "drain" not in state())
    refused = command("drain", "--engine", "slurm", "node1", "--reason", "x")
    assert (refused.rc, "slurm: " in refused.stderr) == (4, True)


def test_each_copy_of_a_job_has_its_own_output_and_exit_code(command: Command) -> None:
    text = "echo $CLBALANCE_NODEID of $CLBALANCE_NNODES on $CLBALANCE_NODE; exit $CLBALANCE_NODEID"
    done = command("run", "--engine", "slurm", "-w", "node[3-4]", "--pick", "2", "-c", text)
    assert (done.rc, sorted(done.lines)) == (1, ["node3: 0 of 2 on node3", "node4: 1 of 2 on node4"])


def test_a_job_waits_in_slurm_for_another_and_never_starts_if_that_fails(command: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = command("run", *SLURM, "--detach", "-c", f"until [ -e {gate} ]; do sleep .1; done; exit 3").text.strip()
    after = command("run", *SLURM, "--detach", "--after", first, "--", "true").text.strip()
    eventually(lambda: "Slurm: Dependency" in command("jobs").text)
    gate.touch()
    assert command("wait", after).rc == 125


@pytest.mark.parametrize(
    ("point", "state", "ran"),
    [
        pytest.param("submitted", "CANCELLED", 0, id="before it is recorded as submitted"),
        pytest.param("engine-intended", "FAILED", 0, id="before sbatch"),
        pytest.param("engine-submitted", "COMPLETED", 1, id="before its answer is recorded"),
    ],
)
def test_a_killed_run_loses_no_job_and_submits_none_twice(
    command: Command, cluster: Lab, tmp_path: Path, point: str, state: str, ran: int
) -> None:
    log = tmp_path / "ran"
    assert command("run", *SLURM, "-c", f"echo x >>{log}", env={"CLBALANCE_FAIL_AT": point}).rc == -9
    command("wait", "last")
    assert one_job(command)["state"] == state
    assert len(log.read_text().split() if log.exists() else []) == ran
    assert len(submissions(cluster, command)) == ran


def test_an_attempt_that_was_given_up_never_runs_even_if_it_is_submitted_late(
    command: Command, cluster: Lab, tmp_path: Path
) -> None:
    log = tmp_path / "ran"
    stopped = {"CLBALANCE_FAIL_AT": "engine-submitted"}
    command(
        "run",
        *SLURM,
        "-c",
        f"echo x >>{log}",
        env={**stopped, "PATH": f"{_bin(tmp_path, 'sbatch', 1)}:{command.env['PATH']}"},
    )
    assert command("wait", "last").rc == 125
    (folder,) = (tmp_path / "state" / "slurm").iterdir()
    late = tmp_path / "late"
    slurms(cluster, "sbatch", f"--output={late}", "-w", NODE, f"{folder}/batch")
    eventually(lambda: "was withdrawn" in late.read_text())
    assert not log.exists()


@pytest.mark.soak
def test_a_run_that_is_killed_at_any_moment_submits_its_job_at_most_once(
    command: Command, cluster: Lab, tmp_path: Path
) -> None:
    moments = Random(7)
    for number in range(int(os.environ.get("CLBALANCE_SOAK", "0")) or 3):
        log = tmp_path / f"ran-{number}"
        run = command.start("run", *SLURM, "-c", f"echo x >>{log}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(moments.uniform(0.0, 1.5))
        killed(run)
        command("wait", "last")
        assert len(log.read_text().split() if log.exists() else []) <= 1
    names = Counter(slurms(cluster, "squeue", "--noheader", "--states=all", "--format=%j").split())
    jobs = json.loads(command("jobs", "--ended", "--json").text)["jobs"]
    for job in jobs:
        assert job["state"] in {"COMPLETED", "FAILED", "CANCELLED"}
        assert sum(count for name, count in names.items() if name.startswith(job["key"])) <= 1


def _bin(folder: Path, program: str, code: int) -> Path:
    """Where a program of Slurm lies that prints nothing and ends with that code."""
    (folder / "bin").mkdir()
    (folder / "bin" / program).write_text(f"#!/bin/sh\nexit {code}\n")
    (folder / "bin" / program).chmod(0o755)
    return folder / "bin"


def test_a_job_that_slurm_has_forgotten_is_unknown_until_a_person_says_what_became_of_it(
    command: Command, tmp_path: Path
) -> None:
    number = command("run", *SLURM, "--detach", "--", "true").text.strip()
    (folder,) = (tmp_path / "state" / "slurm").iterdir()
    eventually((folder / "exit.0").exists)
    (folder / "exit.0").unlink()  # as if its node had died before it could write
    forgetful = {"PATH": f"{_bin(tmp_path, 'squeue', 0)}:{command.env['PATH']}"}
    waited = command("wait", number, env=forgetful)
    assert (waited.rc, "slurm has forgotten how it ended" in waited.stderr) == (125, True)
    assert one_job(command, forgetful)["state"] == "RUNNING"
    again = command("requeue", number, env=forgetful)
    assert (again.rc, "may still run" in again.stderr) == (2, True)
    assert command("requeue", number, "--node-is-dead", "--detach", env=forgetful).rc == 0


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
