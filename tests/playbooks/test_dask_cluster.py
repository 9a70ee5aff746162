"""`clbalance play dask-cluster` on a cluster, with real Dask."""

import json
import signal
import sys
from importlib.util import find_spec

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, eventually, nothing_left
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.playbooks.support import given

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="Dask is not installed: `.venv/bin/pip install distributed`"
)

_ADDRESS = r"""sed -n "/^Host $node\$/,/HostName/s/.*HostName //p" "$CLBALANCE_LAB_NODE/../ssh_config" """
"""Names of the lab's nodes are known to ssh alone."""
_WITHIN_S = 120.0
"""Dask takes seconds of processor time to start, here on all nodes at once."""
_PROGRAM = """
import pathlib, time
from distributed import Client

here = pathlib.Path({folder!r})
with Client() as client:
    client.wait_for_workers(2)
    squares = client.gather(client.map(lambda n: n * n, range(100)))
    workers = client.run(lambda dask_worker: dask_worker.state.nthreads)
    print(sum(squares), len(workers), *workers.values())
    (here / "up").touch()
    while not (here / "go").exists():
        time.sleep(0.1)
"""


def play(command: Command, program: str) -> list[str]:
    """The arguments that run this program on two of three nodes."""
    (command.folder / "it.py").write_text(program)
    values = given(program="it.py", python=sys.executable, address=_ADDRESS, nodes="2", cpus="2", mem="1G")
    return ["play", "dask-cluster", "-w", "node[1-3]", "--json", *values]


def states_of_jobs(command: Command) -> list[str]:
    return [one["state"] for one in json.loads(command("jobs", "--ended", "--json").stdout)["jobs"]]


def test_a_program_finds_workers_on_the_least_loaded_nodes_and_nothing_is_left_of_them(
    clbalance: Command,  # noqa: F811
    lab: Lab,
) -> None:
    lab.node("node1").load(r1m=3.0)
    with nothing_left(lab, _WITHIN_S):
        call = clbalance.start(*play(clbalance, _PROGRAM.format(folder=str(clbalance.folder))))
        eventually((clbalance.folder / "up").exists, _WITHIN_S)
        (job,) = json.loads(clbalance("jobs", "--json").stdout)["jobs"]
        assert (job["name"], job["state"], job["node_set"]) == ("dask", "RUNNING", "node[2-3]")
        nodes = json.loads(clbalance("load", "-w", "node[1-3]", "--json").stdout)["nodes"]
        assert {one["name"] for one in nodes if one["leases"]} == {"node2", "node3"}
        (clbalance.folder / "go").touch()
        assert ended(call) == 0
    assert (clbalance.folder / "dask.out").read_text() == "328350 2 2 2\n"
    assert states_of_jobs(clbalance) == ["COMPLETED"]


def test_an_interruption_takes_the_cluster_down(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    with nothing_left(lab, _WITHIN_S):
        call = clbalance.start(*play(clbalance, _PROGRAM.format(folder=str(clbalance.folder))))
        eventually((clbalance.folder / "up").exists, _WITHIN_S)
        call.send_signal(signal.SIGINT)
        assert ended(call) == 130
    eventually(
        lambda: (
            [one["state"] for one in json.loads(clbalance("jobs", "--ended", "--json").stdout)["jobs"]] == ["CANCELLED"]
        )
    )


def test_a_program_that_fails_takes_the_cluster_down_and_its_exit_code_is_told(
    clbalance: Command,  # noqa: F811
    lab: Lab,
) -> None:
    with nothing_left(lab, _WITHIN_S):
        call = clbalance.start(
            *play(clbalance, "import distributed\ndistributed.Client().close()\nraise SystemExit(7)\n")
        )
        assert ended(call) == 4
    shown = clbalance("play", "--show", "last").text
    assert shown.count("cluster: exit code 7") == 1, "the other nodes were not begun"
