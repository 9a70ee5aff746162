"""The Slurm of a lab: one real cluster, asked as a user asks it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clbalance.errors import LabError
from clbalance.lab.build import settle
from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import SYSTEM_PATH, find_programs
from clbalance.lab.namespaces import Isolation
from clbalance.lab.slurm import DAEMONS, find_daemons
from clbalance.lab.spec import LabSpec
from tests.cli.command import THIS_TREE, Command
from tests.conftest import bring_up, environment_of
from tests.waiting import eventually

pytestmark = [pytest.mark.sshd, pytest.mark.root]


@pytest.fixture(scope="module")
def cluster(openssh: None) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield bring_up(stack, LabSpec(nodes=4, gpus=2, tied=True, slurm=True))


def told(lab: Lab, *argv: str) -> str:
    """What a program of Slurm prints on the submit host."""
    env = lab.environment({**os.environ, "PATH": SYSTEM_PATH})
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def test_the_second_half_of_the_nodes_are_nodes_of_slurm(cluster: Lab) -> None:
    assert told(cluster, "sinfo", "-h", "-N", "-o", "%N %P %T %c %m %G").splitlines() == [
        "node3 batch* idle 4 16384 gpu:2",
        "node4 batch* idle 4 16384 gpu:2",
    ]


def test_a_job_runs_on_the_node_and_gets_its_gpus(cluster: Lab) -> None:
    job = "hostname; echo $CUDA_VISIBLE_DEVICES; id -un"
    assert told(cluster, "srun", "--gres=gpu:2", "-w", "node4", "sh", "-c", job).split() == ["node4", "0,1", "root"]


def test_an_exit_code_comes_back(cluster: Lab) -> None:
    env = cluster.environment({**os.environ, "PATH": SYSTEM_PATH})
    assert subprocess.run(["srun", "sh", "-c", "exit 7"], env=env, capture_output=True, check=False).returncode == 7


def test_a_node_that_boots_again_is_idle_again(cluster: Lab) -> None:
    def is_idle() -> bool:
        return told(cluster, "sinfo", "-h", "-n", "node3", "-o", "%T").split() == ["idle"]

    eventually(is_idle)  # it takes Slurm a minute to give up a job that was ending
    cluster.node("node3").boot()
    eventually(is_idle)


def test_a_node_that_is_drained_in_slurm_gets_no_job_of_ours(cluster: Lab, tmp_path: Path) -> None:
    told(cluster, "scontrol", "update", "nodename=node4", "state=drain", "reason=a new disk")
    (tmp_path / "clbalance.toml").write_text("[slurm]\nnodes = true\n")
    command = Command(env={**environment_of(cluster, tmp_path), **THIS_TREE}, folder=tmp_path)
    with command.opened:
        (row,) = json.loads(command("load", "--json", "node4").text)["nodes"]
        assert (row["state"], row["reason"].partition(" [")[0]) == ("drained", "Slurm: IDLE+DRAIN: a new disk")
        refused = command("run", "-w", "node4", "--", "true")
        assert (refused.rc, "out of service in Slurm" in refused.stderr) == (125, True)
        forced = command("run", "-w", "node4", "--force", "--", "true")
        assert (forced.rc, "ignored because of `--force`: out of service in Slurm" in forced.stderr) == (0, True)
    told(cluster, "scontrol", "update", "nodename=node4", "state=resume")


def test_slurm_survives_a_boot_of_its_controller(cluster: Lab) -> None:
    cluster.node("node1").boot()
    eventually(lambda: "node4" in _srun(cluster, "-w", "node4", "hostname"))


def _srun(lab: Lab, *argv: str) -> str:
    env = lab.environment({**os.environ, "PATH": SYSTEM_PATH})
    return subprocess.run(["srun", *argv], env=env, capture_output=True, text=True, check=False).stdout


def test_without_names_of_their_own_nodes_cannot_have_a_slurm() -> None:
    with pytest.raises(LabError, match="needs namespaces"):
        settle(LabSpec(slurm=True, isolation=Isolation.SUBREAPER), find_programs())


def test_without_slurm_it_is_said_what_to_install(tmp_path: Path) -> None:
    (tmp_path / DAEMONS[0]).symlink_to("/bin/true")
    with pytest.raises(LabError, match="needs slurmctld, slurmd") as caught:
        find_daemons(str(tmp_path))
    assert "slurm-wlm munge" in caught.value.hint
