"""Three users of one cluster: what one was promised counts for the others, and what one may decide binds whom it may."""

import json
import os
import pwd
import time

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done
from tests.node.nodes import locked
from tests.waiting import SOON_S, eventually

from .holding import forge, held, home_of, job, leases_held, uid_of

pytestmark = pytest.mark.root

# On a node that is asked, admitted and refused in time, with room for a slow machine; a lock is waited for 2 s.


def run(clbalance: Command, *arguments: str, user: str = "root", text: str = "true") -> Done:
    return clbalance("run", "-q", "-l", user, *arguments, "-c", text)


def test_what_one_user_holds_counts_for_the_others(shared_lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "-l", "bob", "-w", "node1", "--cpus", "3"):
        parsed = json.loads(clbalance("load", "-l", "alice", "-w", "node1", "--json").stdout)["nodes"][0]["leases"]
        assert [(lease["uid"], lease["cpus"]) for lease in parsed] == [(uid_of(shared_lab, "bob"), 3.0)]
        for user in ("alice", "root"):
            refused = run(clbalance, "-w", "node1", "--cpus", "2", user=user)
            assert (refused.rc, "too few cpus free" in refused.stderr) == (125, True)
            elsewhere = run(
                clbalance, "-w", "node[1-2]", "--cpus", "2", user=user, text="echo $CLBALANCE_NODE $(id -un)"
            )
            assert elsewhere.stdout == f"node2 {user}\n".encode()
            assert run(clbalance, "-w", "node1", user=user).rc == 0


def test_a_users_drain_mark_binds_him_alone(shared_lab: Lab, clbalance: Command) -> None:
    done = clbalance("drain", "-l", "alice", "node1", "--reason", "not for me")
    assert done.rc == 0
    assert "your drains bind only yourself" in done.stderr
    assert [run(clbalance, "-w", "node1", user=user).rc for user in ("alice", "bob", "root")] == [125, 0, 0]
    states = [
        json.loads(clbalance("load", "-l", user, "-w", "node1", "--json").stdout)["nodes"][0]["state"]
        for user in ("alice", "bob")
    ]
    assert states == ["drained", "up"]


def test_roots_drain_mark_binds_everyone_and_only_root_takes_it_away(shared_lab: Lab, clbalance: Command) -> None:
    assert clbalance("drain", "node1", "--reason", "disk").rc == 0
    assert [run(clbalance, "-w", "node1", user=user).rc for user in ("alice", "bob", "root")] == [125, 125, 125]
    resumed = clbalance("resume", "-l", "alice", "node1")
    assert resumed.rc == 0
    assert resumed.stderr.splitlines() == [
        "clbalance: you are not root there: drains by other users stay",
        "clbalance: node1: no mark of yours was there",
    ]
    assert run(clbalance, "-w", "node1", user="alice").rc == 125
    assert clbalance("resume", "node1").rc == 0
    assert run(clbalance, "-w", "node1", user="alice").rc == 0


def test_a_squatted_folder_keeps_nobody_out_and_hides_no_lease(shared_lab: Lab, clbalance: Command) -> None:
    node = shared_lab.node("node1")
    alice, bob = (uid_of(shared_lab, user) for user in ("alice", "bob"))
    os.chown(home_of(node, alice), bob, bob)
    with job(clbalance, "-l", "alice", "-w", "node1", "--cpus", "3"):
        (lease,) = leases_held(node)
        assert (lease.parent.name, lease.stat().st_uid) == (f"clbalance-{alice}-1", alice)
        assert run(clbalance, "-w", "node1", "--cpus", "2", user="bob").rc == 125


def test_a_forged_lease_counts_only_while_its_owner_holds_it(shared_lab: Lab, clbalance: Command) -> None:
    lease = forge(shared_lab.node("node1"), uid_of(shared_lab, "bob"), cpus=4.0)
    assert run(clbalance, "-w", "node1", "--cpus", "4").rc == 0
    with held(shared_lab, "node1", "bob", "fcntl", lease):
        refused = run(clbalance, "-w", "node1")
        assert (refused.rc, "too few cpus free" in refused.stderr) == (125, True)
    assert run(clbalance, "-w", "node1", "--cpus", "4").rc == 0
    assert lease.exists()


def test_a_lease_that_no_probe_can_see_is_refused_by_the_node_in_its_owners_name(
    shared_lab: Lab, clbalance: Command
) -> None:
    bob = uid_of(shared_lab, "bob")
    lease = forge(shared_lab.node("node1"), bob, cpus=4.0)
    # The node's /proc/locks is silent about processes outside of it.
    with locked("write", lease, uid=bob):
        assert clbalance("pick", "-w", "node1").rc == 0
        refused = run(clbalance, "-w", "node1")
    assert refused.rc == 125
    assert "refused by the node (node1: cpus: 1 requested, 0 of 4 free" in refused.stderr
    assert "leased: bob 4)" in refused.stderr


@pytest.mark.parametrize("owner", ["alice", "root"])
def test_a_fifo_that_poses_as_a_lease_or_a_mark_delays_nobody(shared_lab: Lab, clbalance: Command, owner: str) -> None:
    uid = 0 if owner == "root" else uid_of(shared_lab, owner)
    home = home_of(shared_lab.node("node1"), uid)
    for name in ("lease-" + "0" * 32 + ".1", "drain"):
        os.mkfifo(home / name)
        os.chown(home / name, uid, uid)
    began = time.monotonic()
    for user in ("bob", owner):
        assert run(clbalance, "-w", "node1", "--cpus", "4", user=user).rc == 0
    assert time.monotonic() - began < SOON_S  # whoever opens one waits for ever


def test_one_users_many_files_cost_nobody_else_a_placement(shared_lab: Lab, clbalance: Command) -> None:
    alice = uid_of(shared_lab, "alice")
    for _ in range(257):
        forge(shared_lab.node("node1"), alice)
    assert run(clbalance, "-w", "node1", "--cpus", "4", user="bob").rc == 0


def test_who_holds_a_nodes_lock_is_told_and_the_next_node_is_taken(shared_lab: Lab, clbalance: Command) -> None:
    shared_lab.node("node2").load(r1m=2.0)
    with held(shared_lab, "node1", "alice", "flock", shared_lab.node("node1").folder.var) as pid:
        began = time.monotonic()
        assert run(clbalance, "-w", "node[1-2]", text="echo $CLBALANCE_NODE").stdout == b"node2\n"
        assert 2.0 <= time.monotonic() - began < SOON_S
        refused = run(clbalance, "-w", "node1", user="bob")
        assert refused.rc == 125
        assert f"refused by the node (node1: lock held by pid {pid}, user alice)" in refused.stderr
    assert run(clbalance, "-w", "node1", user="bob").rc == 0


def test_a_job_of_several_nodes_that_one_refused_is_not_kept_out_by_its_own_leases(
    shared_lab: Lab, clbalance: Command
) -> None:
    shared_lab.node("node4").load(r1m=0.4)
    with held(shared_lab, "node2", "alice", "flock", shared_lab.node("node2").folder.var):
        done = run(clbalance, "-b", "-w", "node[1-4]", "--pick", "3", "--cpus", "3", text="echo $CLBALANCE_NODELIST")
    assert (done.rc, "node[1,3-4]" in done.text) == (0, True)
    eventually(lambda: not any(leases_held(node) for node in shared_lab.nodes))


def test_who_asks_as_another_user_learns_that_he_cannot_and_harms_nothing(shared_lab: Lab, clbalance: Command) -> None:
    """Root, above all, might have killed it."""
    began = clbalance("run", "-q", "--detach", "-l", "alice", "-w", "node1", "-c", "sleep 300")
    assert began.rc == 0
    for verb in (("jobs", "--json"), ("cancel", "1")):
        for user in ("root", "bob"):
            asked = clbalance(*verb, "-l", user)
            assert asked.rc == 4
            assert "not among this user's jobs" in asked.text + asked.stderr
            assert len(leases_held(shared_lab.node("node1"))) == 1
    (job_there,) = json.loads(clbalance("jobs", "--json", "-l", "alice").stdout)["jobs"]
    assert (job_there["state"], job_there["reason"]) == ("RUNNING", None)
    assert clbalance("cancel", "1", "-l", "alice").rc == 0
    eventually(lambda: not leases_held(shared_lab.node("node1")))


def test_a_lock_that_somebody_holds_delays_nobody_who_looks_after_his_jobs(shared_lab: Lab, clbalance: Command) -> None:
    assert clbalance("run", "-q", "--detach", "-l", "bob", "-w", "node1", "-c", "sleep 300").rc == 0
    with held(shared_lab, "node1", "alice", "flock", shared_lab.node("node1").folder.var):
        began = time.monotonic()
        (row,) = json.loads(clbalance("jobs", "--json", "-l", "bob").stdout)["jobs"]
        assert row["state"] == "RUNNING"
        assert clbalance("cancel", "1", "-l", "bob").rc == 0
        assert time.monotonic() - began < SOON_S
    eventually(lambda: not leases_held(shared_lab.node("node1")))


def test_a_job_without_gpus_does_not_come_across_those_of_any_other(shared_lab: Lab, clbalance: Command) -> None:
    node5, sight = ("-w", "node5", "--cpus", "0.5"), "echo $CUDA_VISIBLE_DEVICES"
    both = run(clbalance, *node5, text=sight).text.strip().split(",")
    with job(clbalance, "-l", "bob", *node5, "--gpus", "1", "--name", "first"):
        (left,) = run(clbalance, *node5, text=sight, user="alice").text.split()
        assert left in both
        assert run(clbalance, *node5, text=sight, user="bob").text.split() == [left]
        tasks = run(clbalance, *node5, "--no-label", "--array", "1-2", text=sight, user="alice")
        assert tasks.text.split() == [left, left]
        with job(clbalance, "-l", "bob", *node5, "--gpu-share", "0.5", "--name", "second"):
            done = clbalance("run", "-l", "alice", *node5, "-c", sight)
            assert (done.text, "the job sees no GPU" in done.stderr) == ("\n", True)
    assert run(clbalance, *node5, text=sight, user="alice").text.strip().split(",") == both


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one cpu cannot be divided")
def test_the_cpus_that_one_user_is_bound_to_are_nobody_elses(shared_lab: Lab, clbalance: Command) -> None:
    limits = ("--limit-cpus", "1", "--limit-mem", "256M")
    with job(clbalance, "-l", "bob", "-w", "node1", *limits, "--name", "bobs"):
        bound = run(clbalance, "-w", "node1", *limits, user="alice", text="taskset -cp $$")
        (kept,) = json.loads(clbalance("explain", "bobs", "--json").stdout)["limits"]
        assert kept["kept"][0] != f"bound to cpu {bound.text.split(': ')[1].strip()}"
        seen = json.loads(clbalance("jobs", "-l", "alice", "-w", "node1", "--all-users", "--json").stdout)["jobs"]
        assert [row["qos"] for row in seen if row["name"] == "bobs"] == ["Guaranteed"]


def test_a_users_job_is_ended_at_its_limit_and_the_others_are_not(shared_lab: Lab, clbalance: Command) -> None:
    take = "exec python3 -c \"kept = bytearray(b'x') * (96 << 20); import time; time.sleep({})\""
    with job(clbalance, "-l", "bob", "-w", "node1", "--limit-mem", "256M", "--name", "bobs"):
        ended = run(clbalance, "-w", "node1", "--limit-mem", "48M", user="alice", text=take.format(30))
        assert ended.rc == 137
        assert [row["state"] for row in json.loads(clbalance("jobs", "bobs", "--json").stdout)["jobs"]] == ["RUNNING"]


def test_users_whom_only_the_nodes_know_are_shown_by_the_names_there(shared_lab: Lab, clbalance: Command) -> None:
    node, uid = shared_lab.node("node5"), uid_of(shared_lab, "bob")
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    shown = ("-l", "alice", "-w", "node5")
    elsewhere = {"CLBALANCE_STATE_DIR": "elsewhere"}
    with job(clbalance, "-l", "bob", "-w", "node5", "--gpus", "1", "--name", "bobs"):
        (row,) = json.loads(clbalance("jobs", *shown, "--all-users", "--json", env=elsewhere).stdout)["jobs"]
        assert (row["user"], row["name"]) == ("bob", "bobs")
        (line,) = clbalance("load", *shown, "--jobs").lines[1:]
        assert line.split()[1:3] == ["bob", f"{uid}/{row['key'][:12]}"]
        (device, _) = clbalance("load", *shown, "--gpus", "--format", "plain").lines
        assert device.split("\t")[11:13] == [str(uid), "bob"]
        getent = node.folder.bin / "getent"
        getent.write_text("#!/bin/sh\nexec sleep 600\n")
        getent.chmod(0o755)
        began = time.monotonic()
        (line,) = clbalance("load", *shown, "--jobs").lines[1:]
        assert line.split()[1:3] == ["uid", str(uid)]
        assert time.monotonic() - began < SOON_S


def test_a_job_of_the_same_key_in_another_users_home_is_not_ones_own(shared_lab: Lab, clbalance: Command) -> None:
    node = shared_lab.node("node1")
    with job(clbalance, "-l", "bob", "-w", "node1", "--name", "bobs"):
        (own,) = [path for path in home_of(node, uid_of(shared_lab, "bob")).iterdir() if path.name.startswith("lease-")]
        forged = forge(node, uid_of(shared_lab, "alice")).replace(home_of(node, uid_of(shared_lab, "alice")) / own.name)
        with held(shared_lab, "node1", "alice", "fcntl", forged):
            lines = clbalance("load", "-l", "bob", "-w", "node1", "--jobs", "--format", "plain").lines
            assert sorted(line.split("\t")[2:4] for line in lines) == [
                ["alice", f"{uid_of(shared_lab, 'alice')}/{own.name[6:18]}"],
                ["bob", "1"],
            ]


def test_by_force_a_user_sets_his_own_drain_aside_and_root_any(shared_lab: Lab, clbalance: Command) -> None:
    force = ("-w", "node1", "--force")
    assert clbalance("drain", "-l", "alice", "node1", "--reason", "mine").rc == 0
    assert [run(clbalance, *force, user=user).rc for user in ("alice", "bob", "root")] == [0, 0, 0]
    assert clbalance("drain", "node1", "--reason", "disk").rc == 0
    assert [run(clbalance, *force, user=user).rc for user in ("alice", "bob", "root")] == [125, 125, 0]
    refused = run(clbalance, "-w", "node1", user="alice")
    assert "drained" in refused.stderr
    assert "--force" not in refused.stderr, "it would not help"
    assert clbalance("pick", "-l", "alice", *force).rc == 3
