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
from clbalance.policy.slurm.scripts import copy_script
from tests.leftovers import marked
from tests.waiting import eventually

OF_SLURM = {"SLURMD_NODENAME": "n1", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1", "PATH": os.defpath}


def copy(folder: Path, text: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """The copy of rank 0, begun as slurmstepd does: in a session of its own."""
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
    order = EngineOrder(name="ab.1", job=job, request=Request(), candidates=(NodeName("n1"),))
    (folder / "stdin").touch()
    script = copy_script(order, str(folder))
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
