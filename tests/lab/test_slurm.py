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
from clbalance.lab.slurm import PROGRAMS, find_slurm
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
    nodes = ["node3 batch* idle 4 16384 gpu:2", "node4 batch* idle 4 16384 gpu:2"]
    eventually(lambda: told(cluster, "sinfo", "-h", "-N", "-o", "%N %P %T %c %m %G").splitlines() == nodes)


def test_a_job_runs_on_the_node_and_gets_its_gpus(cluster: Lab) -> None:
    job = "hostname; echo $CUDA_VISIBLE_DEVICES; id -un"
    assert told(cluster, "srun", "--gres=gpu:2", "-w", "node4", "sh", "-c", job).split() == ["node4", "0,1", "root"]


def test_an_exit_code_comes_back(cluster: Lab) -> None:
    env = cluster.environment({**os.environ, "PATH": SYSTEM_PATH})
    assert subprocess.run(["srun", "sh", "-c", "exit 7"], env=env, capture_output=True, check=False).returncode == 7


def test_a_node_that_boots_again_takes_jobs_again(cluster: Lab) -> None:
    assert cluster.slurm is not None
    log = cluster.slurm.folder / "slurmd-node3.log"

    def starts() -> int:
        return log.read_text().count("slurmd started")

    # It takes Slurm a minute to give up a job that was ending.
    eventually(lambda: told(cluster, "sinfo", "-h", "-n", "node3", "-o", "%T").split() == ["idle"])
    before = starts()
    cluster.node("node3").boot()
    eventually(lambda: starts() > before)  # Slurm itself does not notice so soon that it was away
    eventually(lambda: _runs_on(cluster, "node3"))


def test_a_node_that_is_drained_in_slurm_gets_no_job_of_ours(cluster: Lab, tmp_path: Path) -> None:
    told(cluster, "scontrol", "update", "nodename=node4", "state=drain", "reason=a new disk")
    (tmp_path / "clbalance.toml").write_text("[slurm]\nnodes = true\n")
    command = Command(env={**environment_of(cluster, tmp_path), **THIS_TREE}, folder=tmp_path)
    with command.opened:
        # A busy Slurm may not answer in time, and says first that jobs are ending; so each is asked more than once.
        eventually(lambda: _state(command, "node4") == ("drained", "Slurm: IDLE+DRAIN: a new disk"))
        eventually(lambda: _ran(command, "-w", "node4", why="out of service in Slurm") == 125)
        eventually(
            lambda: (
                _ran(command, "-w", "node4", "--force", why="ignored because of `--force`: out of service in Slurm")
                == 0
            )
        )
    told(cluster, "scontrol", "update", "nodename=node4", "state=resume")


def _state(command: Command, node: str) -> tuple[str, str]:
    """The state in `load`, and the reason without who has written it and when."""
    (row,) = json.loads(command("load", "--json", node).text)["nodes"]
    return row["state"], (row["reason"] or "").partition(" [")[0]


def _ran(command: Command, *options: str, why: str) -> int | None:
    """The exit code of a job; None if this was not said."""
    done = command("run", *options, "--", "true")
    return done.rc if why in done.stderr else None


def test_slurm_survives_a_boot_of_its_controller(cluster: Lab) -> None:
    cluster.node("node1").boot()
    # Not node4: what was said of it a moment ago, such as `resume`, may be lost with the controller.
    eventually(lambda: _runs_on(cluster, "node3"), within_s=240.0)


def _runs_on(lab: Lab, node: str) -> bool:
    """Whether Slurm runs a job there now; one that has to wait is given up."""
    env = lab.environment({**os.environ, "PATH": SYSTEM_PATH})
    argv = ["srun", "--immediate=10", "-w", node, "hostname"]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False).stdout.strip() == node


def test_without_names_of_their_own_nodes_cannot_have_a_slurm() -> None:
    with pytest.raises(LabError, match="needs namespaces"):
        settle(LabSpec(slurm=True, isolation=Isolation.SUBREAPER), find_programs())


def test_without_slurm_it_is_said_what_to_install(tmp_path: Path) -> None:
    (tmp_path / PROGRAMS[0]).symlink_to("/bin/true")
    with pytest.raises(LabError, match="needs munge, slurmctld, slurmd, sinfo") as caught:
        find_slurm(str(tmp_path))
    assert "slurm-wlm munge" in caught.value.hint
