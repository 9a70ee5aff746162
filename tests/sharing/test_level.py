"""Clients that start at the same moment still level the load, for each counts what the others have just placed.

Few jobs by default; CLBALANCE_SOAK=50 is the full measure: 8 clients, 8 jobs each, 16 nodes.
"""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec
from clbalance.policy.allocations import TAU_S
from tests.cli.command import THIS_TREE, Command
from tests.conftest import NewLab, environment_of
from tests.faults.soak import trials

from .holding import leases_held

pytestmark = pytest.mark.soak


CLIENTS, JOBS, NODES = trials(4, 8), trials(3, 8), trials(8, 16)


@pytest.fixture
def cluster(new_lab: NewLab) -> Lab:
    """Nodes that are loaded differently, from idle in steps of half a process."""
    lab = new_lab(LabSpec(nodes=NODES, cpus=64, tied=True))
    for node, r1m in loads_of(lab).items():
        lab.node(node).load(r1m=r1m)
    return lab


def loads_of(lab: Lab) -> dict[str, float]:
    return {node.name: number / 2 for number, node in enumerate(lab.nodes)}


@contextmanager
def door_of(lab: Lab, folder: Path) -> Iterator[Command]:
    command = Command(env={**environment_of(lab, folder), **THIS_TREE}, folder=folder)
    with command.opened:
        yield command


@contextmanager
def busy_jobs(lab: Lab) -> Iterator[None]:
    """The load averages follow the jobs as the kernel's would follow busy ones; the lab's own are as they were set."""
    over, loads = threading.Event(), loads_of(lab)

    def follow() -> None:
        while not over.wait(0.5):
            for node in lab.nodes:
                ages = []
                for path in node.folder.var.glob("clbalance-*/lease-*"):
                    with suppress(FileNotFoundError):  # its job has ended just now
                        ages.append(time.time() - path.stat().st_mtime)
                shown = sum(1 - math.exp(-age_s / TAU_S) for age_s in ages)
                node.load(r1m=round(loads[node.name] + shown, 2))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def submit_all_at_once(command: Command, *asked: str) -> None:
    """By clients that wait for each other before the first job, and hurry from then on."""
    barrier = threading.Barrier(CLIENTS)

    def client(_: int) -> None:
        barrier.wait()
        for _ in range(JOBS):
            done = command("run", "-a", "--detach", *asked, "-c", "sleep 600")
            assert done.rc == 0, done.stderr

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))


def unevenness(lab: Lab, given: list[int]) -> float:
    """Of set load and jobs together, between the nodes that were given jobs: the largest difference."""
    assert sum(given) == CLIENTS * JOBS
    levels = [load + count for load, count in zip(loads_of(lab).values(), given, strict=True) if count]
    return max(levels) - min(levels)


def jobs_on(lab: Lab) -> list[int]:
    return [len(leases_held(node)) for node in lab.nodes]


def test_jobs_of_clients_that_start_together_level_the_load(cluster: Lab, tmp_path: Path) -> None:
    with door_of(cluster, tmp_path) as command, busy_jobs(cluster):
        submit_all_at_once(command)
        given = jobs_on(cluster)
        command("cancel", "--all")
    assert unevenness(cluster, given) <= 2.0


def test_without_debt_and_leases_they_pile_up(cluster: Lab, tmp_path: Path) -> None:
    """A job that asks for no cpus is no debt, so only the measured load counts, which does not know of it yet.

    Were each client to look once, all jobs would be on the idle node; half of that is twice what is allowed above.
    """
    with door_of(cluster, tmp_path) as command:
        submit_all_at_once(command, "--cpus", "0")
        given = jobs_on(cluster)
        command("cancel", "--all")
    levels = [load + count for load, count in zip(loads_of(cluster).values(), given, strict=True)]
    assert max(levels) - min(level for level in levels if level) >= 4.0
