"""What runs on a node of Slurm, here by this host's `/bin/sh`."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from clbalance.model import NodeName, Request
from clbalance.model.engine import EngineOrder
from clbalance.model.job import Command, JobSpec
from clbalance.policy.slurm.scripts import batch_script, copy_script
from tests.leftovers import marked
from tests.waiting import eventually

OF_SLURM = {"SLURMD_NODENAME": "n1", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1", "PATH": os.defpath}


def order(folder: Path, text: str, env: Mapping[str, str] | None = None) -> EngineOrder:
    job = JobSpec(
        id=3,
        key="ab",
        name="train",
        payload=Command(argv=("/bin/sh", "-c", text)),
        chdir=str(folder),
        chdir_explicit=True,
        umask=0o22,
        env=env or {},
    )
    return EngineOrder(name="ab.1", job=job, request=Request(), candidates=(NodeName("n1"),))


def copy(folder: Path, text: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """The copy of rank 0, begun as slurmstepd does: in a session of its own."""
    (folder / "stdin").touch()
    script = copy_script(order(folder, text, env), str(folder))
    return subprocess.Popen(["/bin/sh", "-c", script], env={**OF_SLURM, **marked()}, start_new_session=True)


def test_the_environment_of_the_payload_is_not_that_of_its_script(tmp_path: Path) -> None:
    env = {"folder": "/nowhere", "rank": "7", "PATH": "/nowhere"}
    assert copy(tmp_path, 'echo "$folder $rank $PATH $CLBALANCE_NODEID $CLBALANCE_NODE"; exit 3', env).wait() == 3
    assert (tmp_path / "stdout.0").read_text() == "/nowhere 7 /nowhere 0 n1\n"
    assert (tmp_path / "exit.0").read_text().split()[0] == "3"


@pytest.mark.parametrize("sent", [signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_payload_outlives_does_not_end_its_script(tmp_path: Path, sent: signal.Signals) -> None:
    name = sent.name.removeprefix("SIG")
    text = f"trap 'touch heard' {name}; touch ready; until [ -e heard ]; do sleep 0.02; done; exit 5"
    running = copy(tmp_path, text)
    eventually((tmp_path / "ready").exists)
    os.killpg(running.pid, sent)
    assert running.wait() == 5
    assert (tmp_path / "exit.0").read_text().split()[0] == "5"


def test_a_job_of_several_copies_claims_once_and_tells_its_nodes_by_rank(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program, text in (("scontrol", "printf 'b1\\na1\\n'"), ("srun", f"echo x >>{tmp_path}/runs")):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a1,b1"}
    argv = ["/bin/sh", "-c", batch_script(order(tmp_path, "true"), str(tmp_path), copies=2)]
    ends = [subprocess.run(argv, env=env, capture_output=True, check=False).returncode for _ in range(2)]
    assert ends == [0, 125]
    assert (tmp_path / "runs").read_text() == "x\n"
    assert (tmp_path / "claim" / "job").read_text().split()[:2] == ["7", "b1,a1,"]
