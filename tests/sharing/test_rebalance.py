"""`rebalance` beside everybody else: how level it gets a pool, and that nobody is ever promised what is not there.

Little of it by default; CLBALANCE_SOAK=100 is the full measure.
"""

import fcntl
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from clbalance.lab.spec import LabSpec
from clbalance.policy.allocations import TAU_S
from tests.cli.command import THIS_TREE, Command
from tests.cli.held_jobs import held
from tests.conftest import NewLab, environment_of
from tests.faults.soak import trials
from tests.waiting import eventually

from .holding import leases_held

pytestmark = pytest.mark.soak

NODES, PILED, JOBS = trials(6, 12), trials(1, 3), trials(8, 24)
FOREIGN = 2.0
CPUS, TAKES = 4, 0.5


@pytest.fixture
def cluster(new_lab: NewLab) -> Lab:
    """Idle nodes, but for two that strangers use."""
    lab = new_lab(LabSpec(nodes=NODES, cpus=CPUS, tied=True))
    for name in strangers(lab):
        lab.node(name).load(r1m=FOREIGN)
    return lab


def strangers(lab: Lab) -> list[str]:
    return [node.name for node in lab.nodes[-2:]]


@contextmanager
def door_of(lab: Lab, folder: Path) -> Iterator[Command]:
    folder.mkdir(exist_ok=True)
    command = Command(env={**environment_of(lab, folder), **THIS_TREE}, folder=folder)
    with command.opened:
        yield command


@contextmanager
def busy_jobs(lab: Lab) -> Iterator[None]:
    """The load averages follow strangers and jobs as the kernel's would, also when a job has left."""
    over = threading.Event()
    shown = {node.name: FOREIGN if node.name in strangers(lab) else 0.0 for node in lab.nodes}
    steady = dict(shown)

    def follow() -> None:
        before = time.monotonic()
        while not over.wait(0.5):
            now = time.monotonic()
            kept = math.exp(-(now - before) / TAU_S)
            before = now
            for node in lab.nodes:
                busy = steady[node.name] + TAKES * len(leases_held(node))
                shown[node.name] = shown[node.name] * kept + busy * (1.0 - kept)
                node.load(r1m=round(shown[node.name], 2))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pile_up(command: Command, lab: Lab) -> None:
    """On the first few nodes, for the others are drained meanwhile."""
    others = ",".join(node.name for node in lab.nodes[PILED:])
    assert command("drain", "-q", others, "--reason", "not yet").rc == 0

    def submit(_: int) -> None:
        done = command("run", "-q", "--detach", "-a", "--requeue", "--cpus", str(TAKES), "-c", held())
        assert done.rc == 0, done.stderr

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submit, range(JOBS)))
    eventually(lambda: sum(len(leases_held(node)) for node in lab.nodes) == JOBS)
    assert command("resume", "-q", others).rc == 0


def levels(lab: Lab) -> list[float]:
    """Of set load and jobs together, per cpu."""
    of_strangers = [FOREIGN if node.name in strangers(lab) else 0.0 for node in lab.nodes]
    jobs = [TAKES * len(leases_held(node)) for node in lab.nodes]
    return [(load + taken) / CPUS for load, taken in zip(of_strangers, jobs, strict=True)]


def best_largest_level() -> float:
    """Of all ways to spread equal jobs: the least k jobs on each of the idle nodes that hold them all."""
    idle = NODES - 2
    for most in itertools.count():
        largest = max(FOREIGN, most * TAKES)
        beside = 2 * math.floor((largest - FOREIGN) / TAKES)
        if most * idle + beside >= JOBS:
            return largest / CPUS
    raise AssertionError


def test_a_pile_is_leveled_in_one_run_and_then_left_alone(cluster: Lab, tmp_path: Path) -> None:
    with door_of(cluster, tmp_path / "host") as command, busy_jobs(cluster):
        (command.folder / "clbalance.toml").write_text("[rebalance]\nconfirm = 1\n")
        pile_up(command, cluster)
        before = max(levels(cluster))
        done = command("rebalance", "-a", "--apply", "--max-moves", str(JOBS))
        assert done.rc == 0, done.stderr
        after = levels(cluster)
        again = [command("rebalance", "-a", "--apply", "--max-moves", str(JOBS)).text for _ in range(3)]
        moves = len([line for line in done.lines if ": moved" in line])
        assert command("cancel", "--all").rc == 0
    print(f"largest level {before:.3f} -> {max(after):.3f}, optimum {best_largest_level():.3f}, {moves} moves: {after}")
    assert sum(after) == pytest.approx((2 * FOREIGN + JOBS * TAKES) / CPUS), "no job was lost or doubled"
    assert max(after) <= 1.1 * best_largest_level()
    assert again == ["", "", ""]


def test_by_default_it_takes_the_runs_that_confirm_and_max_moves_say(cluster: Lab, tmp_path: Path) -> None:
    with door_of(cluster, tmp_path / "host") as command, busy_jobs(cluster):
        pile_up(command, cluster)
        moved: list[int] = []
        for _ in range(3 + math.ceil(JOBS / 5) + 2):
            done = command("rebalance", "-a", "--apply")
            moved.append(len([line for line in done.lines if ": moved" in line]))
        after = levels(cluster)
        assert command("cancel", "--all").rc == 0
    print(f"moves of each run: {moved}; largest level {max(after):.3f}, optimum {best_largest_level():.3f}")
    assert moved[:2] == [0, 0]
    assert max(moved) <= 5
    assert moved[-1] == 0
    assert max(after) <= 1.25 * best_largest_level()


# -- two hosts, three users -----------------------------------------------------------------------


def promised_cpus(node: LabNode) -> float:
    """What is promised at one moment: nobody is admitted while the node's folder is locked."""
    fd = os.open(node.folder.var, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return sum(cpus_of(lease) for lease in leases_held(node))
    finally:
        os.close(fd)


def cpus_of(lease: Path) -> float:
    try:
        return float(json.loads(lease.read_text())["cpus"])
    except FileNotFoundError:
        return 0.0


@contextmanager
def watched(lab: Lab, nodes: Sequence[str]) -> Iterator[list[float]]:
    """The most that each look has found promised on one node."""
    over, most = threading.Event(), list[float]()

    def look() -> None:
        while not over.wait(0.03):
            most.append(max(promised_cpus(lab.node(name)) for name in nodes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


@pytest.mark.root
def test_two_hosts_that_rebalance_and_three_users_that_run_never_overfill_a_node(
    shared_lab: Lab, tmp_path: Path
) -> None:
    nodes = ["node1", "node2", "node3"]
    where = ("-w", "node[1-3]")
    with (
        door_of(shared_lab, tmp_path / "a") as first,
        door_of(shared_lab, tmp_path / "b") as second,
        watched(shared_lab, nodes) as most,
    ):
        for host in (first, second):
            (host.folder / "clbalance.toml").write_text("[rebalance]\nconfirm = 1\ncooldown_s = 0\ndeviation = 0.1\n")
        for trial in range(trials(2, 100)):
            for host in (first, second):
                name = f"trial{trial}"
                for _ in range(2):
                    done = host(
                        "run",
                        "-q",
                        "--detach",
                        "-w",
                        "node1",
                        "--requeue",
                        "--cpus",
                        "1",
                        "--name",
                        name,
                        "-c",
                        "sleep 60",
                    )
                    assert done.rc in {0, 125}, done.stderr
            with ThreadPoolExecutor(5) as pool:
                runs = [
                    pool.submit(first, "rebalance", *where, "--apply"),
                    pool.submit(second, "rebalance", *where, "--apply"),
                    *(pool.submit(first, "run", "-q", "-l", user, *where, "-c", "sleep 0.3") for user in USERS),
                ]
            assert {run.result().rc for run in runs} <= {0, 125}
            for host in (first, second):
                assert host("cancel", "--all").rc == 0
    print(f"{trial + 1} trials, {len(most)} looks, at most {max(most):g} of {CPUS} cpus promised on a node")
    assert max(most) <= CPUS


USERS = ("root", "alice", "bob")
