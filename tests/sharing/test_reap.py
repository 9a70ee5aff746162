"""What a user left on a node goes when he says so, and only his."""

import json

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command

from .holding import forge, job, leases_held, uid_of

pytestmark = pytest.mark.root


@pytest.mark.parametrize("user", ["alice", "root"])
def test_nobody_takes_away_what_is_anothers(shared_lab: Lab, clbalance: Command, user: str) -> None:
    theirs = forge(shared_lab.node("node1"), uid_of(shared_lab, "bob"))
    for _ in range(2):
        done = clbalance("reap", "-l", user, "node1", "--apply", "--keep", "1s")
        assert (done.rc, done.stderr) == (0, "clbalance: nothing of yours to remove on node1\n")
    assert theirs.exists()
    found = json.loads(clbalance("reap", "-l", "bob", "node1", "--apply", "--json").stdout)["nodes"][0]["found"]
    assert [one["name"] for one in found] == [theirs.name]
    assert not theirs.exists()


def test_root_ends_no_job_of_a_user(shared_lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "-l", "alice", "-w", "node1", "--cpus", "1"):
        before = leases_held(shared_lab.node("node1"))
        assert clbalance("reap", "node1", "--apply", "--keep", "1s").stdout == b""
        assert leases_held(shared_lab.node("node1")) == before != []
