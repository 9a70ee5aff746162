"""Jobs of several nodes: the copies know each other, and `--first-node` holds the other nodes for the first one."""

import json
import signal
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, nothing_left, send
from tests.cli.held_jobs import await_file, detached, held, job, let_go
from tests.waiting import eventually

from .test_run_ends import NOTICED_SOON

BOTH = ("-w", "node[1-2]", "--pick", "2")
ALONE = (*BOTH, "--first-node")


def await_start(clbalance: Command) -> None:
    """Wait until the job runs on its first node and holds the others, which may begin later."""
    await_file(clbalance.folder / "up")
    eventually(lambda: job(clbalance, "1")["state"] == "RUNNING")


def leased(clbalance: Command, *nodes: str) -> list[str]:
    """The node sets on which jobs hold leases."""
    rows = json.loads(clbalance("jobs", "--all-users", "--json", "-w", ",".join(nodes)).text)["jobs"]
    return sorted(row["node_set"] for row in rows)


def test_each_copy_has_the_same_host_file_and_the_same_meeting_point(lab: Lab, clbalance: Command) -> None:
    text = 'cat "$CLBALANCE_HOSTFILE"; echo "$CLBALANCE_MASTER_NODE $CLBALANCE_MASTER_PORT"'
    with nothing_left(lab):
        done = clbalance("run", "-q", "-b", *BOTH, "--cpus", "2", "-c", text)
    *hosts, meeting = done.lines[-5:]
    master, port = meeting.split()
    assert (done.rc, hosts, master) == (0, ["node1", "node1", "node2", "node2"], "node1")
    assert 16384 <= int(port) < 32768
    assert "node[1-2] (2)" in done.text  # equal outputs are folded: nothing differs between the copies


def test_a_script_need_not_know_whether_it_has_one_node(clbalance: Command) -> None:
    text = 'cat "$CLBALANCE_HOSTFILE"; [ "$CLBALANCE_MASTER_NODE" = node1 ] && [ "$CLBALANCE_MASTER_PORT" -gt 0 ]'
    done = clbalance("run", "-q", "-w", "node1", "--cpus", "0", "-c", text)
    assert (done.rc, done.text) == (0, "node1\n")


def test_the_copies_can_meet_at_the_port(clbalance: Command) -> None:
    """The first copy listens there; the lab's nodes share one network, so the other one finds it."""
    serve = "s = socket.create_server(('', port)); c = s.accept()[0]; print(c.recv(99).decode())"
    call = "c = socket.create_connection(('localhost', port)); c.sendall(b'hello from ' + node.encode())"
    program = f"""
import os, socket, time
port, node = int(os.environ["CLBALANCE_MASTER_PORT"]), os.environ["CLBALANCE_NODE"]
if os.environ["CLBALANCE_NODEID"] == "0":
    {serve}
else:
    for _ in range(200):
        try:
            {call}
            break
        except OSError:
            time.sleep(0.05)
"""
    (clbalance.folder / "meet.py").write_text(f"#!/usr/bin/env python3\n{program}")
    done = clbalance("run", "-q", *BOTH, "meet.py")
    assert (done.rc, done.text) == (0, "node1: hello from node2\n")


def test_tasks_have_no_host_file(clbalance: Command) -> None:
    done = clbalance("run", "-q", "--no-label", "-w", "node1", "--array", "0-0", "-c", 'echo "[$CLBALANCE_HOSTFILE]"')
    assert done.text == "[]\n"


# -- on the first node alone ------------------------------------------------------------------------


def test_only_the_first_node_runs_it_and_its_code_is_the_jobs(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", *ALONE, "-c", "echo $CLBALANCE_NODEID of $CLBALANCE_NNODES; exit 3")
    assert (done.rc, done.text) == (3, "node1: 0 of 2\n")
    ends = [line.split()[:3] for line in done.stderr.splitlines() if line.startswith("node")]
    assert ends == [["node1", "FAILED", "3"], ["node2", "COMPLETED", "0"]]
    record = job(clbalance, "1")
    assert (record["state"], record["rc"]) == ("FAILED", 3)


def test_the_other_nodes_are_held_until_it_is_over(clbalance: Command) -> None:
    number = detached(clbalance, *ALONE, "-c", f"echo up > up; {held()}")
    await_file(clbalance.folder / "up")
    assert leased(clbalance, "node1", "node2", "node3") == ["node[1-2]"]
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0
    assert leased(clbalance, "node1", "node2", "node3") == []
    assert job(clbalance, number)["state"] == "COMPLETED"


def test_nobody_need_look_for_the_other_nodes_of_a_detached_job_to_be_freed(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        detached(clbalance, *ALONE, "-c", f"echo up > up; {held()}")
        await_file(clbalance.folder / "up")
        let_go(clbalance)


def test_a_quick_job_is_no_race(clbalance: Command) -> None:
    for _ in range(5):
        assert clbalance("run", "-q", *ALONE, "--", "true").rc == 0


def test_a_cancel_ends_all(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, *ALONE, "-c", f"echo up > up; {held()}")
    await_file(clbalance.folder / "up")
    with nothing_left(lab):
        assert clbalance("cancel", number).rc == 0
    assert job(clbalance, number)["state"] == "CANCELLED"


def test_ctrl_c_ends_all(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", *ALONE, "-c", "echo up > up; sleep 300")
        await_file(clbalance.folder / "up")
        send(child, signal.SIGINT)
    assert child.returncode == 130


def test_whoever_looks_next_frees_the_nodes_if_run_was_killed(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *ALONE, "-c", f"echo up > up; {held()}")
    await_start(clbalance)
    send(child, signal.SIGKILL)
    with nothing_left(lab):
        let_go(clbalance)
        assert clbalance("wait", "1").rc == 0
    assert job(clbalance, "1")["state"] == "COMPLETED"


def test_a_job_that_could_not_start_on_its_first_node_has_not_run(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", *ALONE, "--", "/no/such/program")
    assert (done.rc, "/no/such/program" in done.stderr) == (127, True)
    assert job(clbalance, "1")["state"] == "FAILED"


def test_a_held_node_that_dies_is_no_success(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *ALONE, "-c", f"echo up > up; {held()}")
    await_start(clbalance)
    lab.node("node2").kill()
    lab.node("node2").boot()
    let_go(clbalance)
    assert ended(child) == 125
    assert job(clbalance, "1")["state"] == "NODE_FAIL"


def test_run_does_not_wait_on_held_nodes_for_a_first_one_that_hangs(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *NOTICED_SOON, *ALONE, "-c", f"echo up > up; {held()}")
    await_start(clbalance)
    lab.node("node1").hang()
    assert ended(child) == 125
    lab.node("node1").thaw()
    assert leased(clbalance, "node2") == ["node[1-2]"]  # it may still run, and use the other node
    with nothing_left(lab):
        let_go(clbalance)
        assert clbalance("wait", "1").rc == 0
    assert job(clbalance, "1")["state"] == "COMPLETED"


def test_tasks_run_where_a_slot_is_free_not_on_a_first_node(clbalance: Command) -> None:
    done = clbalance("run", "--first-node", "--array", "0-1", "--", "true")
    assert (done.rc, "`--first-node` does not go with tasks" in done.stderr) == (2, True)


# -- MPI --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_lines", [False, True], ids=["--first-node", "#SBATCH"])
def test_mpirun_finds_the_nodes_of_its_job(lab: Lab, clbalance: Command, folder: Path, *, by_lines: bool) -> None:
    """OpenMPI over two nodes. Its launcher is the lab's ssh; on a cluster nothing of this is needed."""
    lines = "#SBATCH --nodes=2 -c 2\n" if by_lines else "#CLB --pick 2 --cpus 2 --first-node\n"
    (folder / "mpi.sh").write_text(
        f"#!/bin/sh\n{lines}"
        'exec mpirun --hostfile "$CLBALANCE_HOSTFILE" -np 4 $MPI_OPTIONS '
        "sh -c 'echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $(hostname)'\n"
    )
    ssh = f"ssh -F {lab.directory}/ssh_config"
    local = "--allow-run-as-root --oversubscribe --mca oob_tcp_if_include lo --mca btl self,tcp"
    done = clbalance(
        "run", "-q", "--no-label", "-w", "node[1-2]", *(["--sbatch"] if by_lines else []),
        "--env", f"MPI_OPTIONS={local}", "--env", f"OMPI_MCA_plm_rsh_agent={ssh}", "mpi.sh",
    )  # fmt: skip
    assert (done.rc, sorted(done.lines)) == (
        0, ["0 of 4 on node1", "1 of 4 on node1", "2 of 4 on node2", "3 of 4 on node2"],
    ), done.stderr  # fmt: skip
