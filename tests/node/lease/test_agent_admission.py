"""Admission as a client sees it: a lease from the node's yes to the job's end, however that comes."""

import itertools
import json
import os
import signal
import stat
import time
from collections.abc import Callable

import psutil
import pytest

from tests.node.agent_client import WAIT_S, AgentClient, gone, new_job, pids_in
from tests.node.nodes import ALICE, GIB, GPUS, ME, Node, locked, locker_of, wait_until_void
from tests.waiting import SOON_S

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_lease_says_what_was_promised_and_is_held_by_the_jobs_supervisor(node: Node) -> None:
    with node.client() as client:
        job = client.admit(cpus=1.5, mem_bytes=GIB, gpu_count=1, gpu_candidates=GPUS[3:], slots=2, name="träin")
        path = node.lease_of(job)
        assert json.loads(path.read_text()) == {
            "v": 1,
            "cpus": 1.5,
            "mem_bytes": GIB,
            "gpus": [GPUS[3]],
            "slots": 2,
            "exclusive": False,
            "uptime_s": 5000.0,
            "name": "träin",
        }
        assert stat.S_IMODE(path.stat().st_mode) == 0o1644
        supervisor = locker_of(path)
        client.ask("start", job, spec={"argv": ["sleep", "600"]})
        assert psutil.Process(client.until("started", job)["pid"]).ppid() == supervisor
        assert locker_of(path) == supervisor


def test_the_job_does_not_hold_its_lease_and_leaves_none_behind(node: Node) -> None:
    with node.client() as client:
        job = client.admit(cpus=1)
        client.ask("follow", job, window=1 << 20)
        client.ask("start", job, spec={"argv": ["sh", "-c", "readlink /proc/self/fd/*; exit 3"]})
        assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 3}
        assert node.leases() == []  # gone before the end is told
        assert b"lease-" not in client.output[job, "stdout"]


def test_a_start_may_follow_its_admission_without_waiting_for_the_answer(node: Node) -> None:
    with node.client() as client:
        job = client.ask_admission(cpus=1)
        client.ask("follow", job, window=1 << 20)
        client.ask("start", job, spec={"argv": ["sleep", "600"]})
        client.ask("end", job, grace_s=1, why="enough")
        parts = [client.event()["ev"] for _ in range(5)]
        assert parts == ["hello", "claimed", "admitted", "started", "ended"]
        assert node.leases() == []


def test_a_start_whose_admission_is_refused_starts_nothing(node: Node) -> None:
    with node.client() as client:
        job = client.ask_admission(cpus=5)
        client.ask("start", job, spec={"argv": ["touch", str(node.base / "ran")]})
        assert client.until_refused(job)["kind"] == "cpus"
        assert client.admit()
    assert not (node.base / "ran").exists()


def test_nothing_is_started_without_admission(node: Node) -> None:
    with node.client() as client:
        job = new_job()
        client.ask("claim", job)
        client.ask("start", job, spec={"argv": ["sleep", "600"]})
        assert client.answer() == {"ev": "error", "why": f"start: {job} was not admitted", "job": job}


def test_granted_gpus_are_what_the_job_sees(node: Node) -> None:
    with node.client(CUDA_VISIBLE_DEVICES="9") as client:
        shows = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"]
        job = client.admit(gpu_count=2, gpu_candidates=[GPUS[6], GPUS[1], GPUS[2]])
        client.ask("follow", job, window=1 << 20)
        client.ask("start", job, spec={"argv": shows, "env": {"CUDA_VISIBLE_DEVICES": "0"}})
        client.until("ended", job)
        assert client.output[job, "stdout"].decode() == f"{GPUS[6]},{GPUS[1]} PCI_BUS_ID\n"
        without = client.admit(cpus=1, gpu_candidates=GPUS)
        client.ask("follow", without, window=1 << 20)
        client.ask("start", without, spec={"argv": shows})
        client.until("ended", without)
        assert client.output[without, "stdout"] == b"9\n"


SHOWN = "$CUDA_VISIBLE_DEVICES|$ROCR_VISIBLE_DEVICES|$HIP_VISIBLE_DEVICES|${GPU_DEVICE_ORDINAL-none}"


@pytest.mark.parametrize(
    ("gpus", "shown"),
    [
        pytest.param(["MIG-aaaaaaaa-1111-5555-8888-000000000000"], "MIG-aaaaaaaa-1111-5555-8888-000000000000||7|3", id="a part"),
        pytest.param(["MIG-GPU-11111111-2222-3333-4444-555555555555/1/0"], "MIG-GPU-11111111-2222-3333-4444-555555555555/1/0||7|3", id="a part as older drivers name it"),
        pytest.param(["GPU-1a2b3c4d5e6f7081", "GPU-719d230578348e8c"], "|GPU-1a2b3c4d5e6f7081,GPU-719d230578348e8c|0,1|none", id="AMD's, counted anew"),
    ],
)  # fmt: skip
def test_a_job_sees_its_devices_as_their_maker_names_them(node: Node, gpus: list[str], shown: str) -> None:
    with node.client(HIP_VISIBLE_DEVICES="7", GPU_DEVICE_ORDINAL="3") as client:
        job = client.admit(gpu_count=len(gpus), gpu_candidates=gpus)
        client.ask("follow", job, window=1 << 20)
        client.ask("start", job, spec={"argv": ["sh", "-c", f'echo "{SHOWN}"']})
        client.until("ended", job)
        assert client.output[job, "stdout"].decode() == shown + "\n"


SIGHT = ["sh", "-c", 'echo "${CUDA_VISIBLE_DEVICES-unset} ${CUDA_DEVICE_ORDER-unset}"']


def seen_by(client: AgentClient, spec: dict[str, object] | None = None, **asked: object) -> tuple[str, list[str]]:
    """What a job prints of its GPUs, and the warnings at its start."""
    job = client.admit(**asked)
    client.ask("follow", job, window=1 << 20)
    client.ask("start", job, spec={"argv": SIGHT} | (spec or {}))
    warnings = client.until("started", job)["warnings"]
    client.until("ended", job)
    return client.output[job, "stdout"].decode().strip(), warnings


@as_root
def test_a_job_without_gpus_does_not_see_those_that_any_job_has_leased_when_it_starts(node: Node) -> None:
    offered: dict[str, list[int]] = {gpu: [] for gpu in GPUS[:3]}
    with node.client() as client, node.client(ALICE) as alice:
        assert seen_by(client, gpu_visible=offered) == (f"{','.join(GPUS[:3])} PCI_BUS_ID", [])
        client.admit(gpu_count=1, gpu_candidates=GPUS[2:3])
        job = alice.admit(gpu_count=1, gpu_candidates=GPUS[:1])
        assert seen_by(client, gpu_visible=offered) == (f"{GPUS[1]} PCI_BUS_ID", [])
        alice.ask("end", job, grace_s=0, why="enough")
        alice.until_refused(job)
        assert seen_by(client, gpu_visible=offered)[0].startswith(GPUS[0])


@as_root
def test_a_job_that_is_left_no_gpu_is_told_so(node: Node) -> None:
    with node.client() as client, node.client(ALICE) as alice:
        alice.admit(gpu_count=2, gpu_candidates=GPUS[:2])
        shown, warnings = seen_by(client, gpu_visible={gpu: [] for gpu in GPUS[:2]})
        assert (shown, warnings) == ("PCI_BUS_ID", ["the job sees no GPU: all are leased or used by others"])


def test_who_has_chosen_gpus_by_a_variable_sees_those(node: Node) -> None:
    offered = {GPUS[0]: [0]}
    with node.client() as client:
        assert seen_by(client, {"env": {"CUDA_VISIBLE_DEVICES": "7"}}, gpu_visible=offered) == ("7 unset", [])
        assert seen_by(client, {"env": {"HIP_VISIBLE_DEVICES": "0"}}, gpu_visible=offered) == ("unset unset", [])
        assert seen_by(client) == ("unset unset", [])
    with node.client(CUDA_VISIBLE_DEVICES="1") as client:
        assert seen_by(client, gpu_visible=offered) == ("1 unset", [])


def test_amds_gpus_are_hidden_by_amds_variables(node: Node) -> None:
    offered = {"GPU-1a2b3c4d5e6f7081": [0], "GPU-719d230578348e8c": []}
    with node.client() as client:
        for hidden, shown in ((offered, "|GPU-719d230578348e8c|0|none"), ({gpu: [0] for gpu in offered}, "|||none")):
            assert seen_by(client, {"argv": ["sh", "-c", f'echo "{SHOWN}"']}, gpu_visible=hidden)[0] == shown


def test_a_share_of_a_gpu_is_kept_in_the_lease_and_told_to_the_job(node: Node) -> None:
    with node.client() as client:
        shows = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES $CLBALANCE_GPU_SHARE"]
        job = client.admit(gpu_count=1, gpu_share=0.25, gpu_candidates=GPUS[:2])
        parsed = json.loads(node.lease_of(job).read_text())
        assert (parsed["gpus"], parsed["gpu_share"]) == ([GPUS[0]], 0.25)
        client.ask("follow", job, window=1 << 20)
        client.admit(gpu_count=1, gpu_candidates=GPUS[:2])
        assert client.admission_refusal(gpu_count=1, gpu_share=0.8, gpu_candidates=GPUS[:2])[0] == "gpus"
        client.admit(gpu_count=1, gpu_share=0.75, gpu_candidates=GPUS[:2])
        client.ask("start", job, spec={"argv": shows})
        client.until("ended", job)
        assert client.output[job, "stdout"].decode() == f"{GPUS[0]} 0.25\n"
        client.admit(gpu_count=1, gpu_share=0.25, gpu_candidates=GPUS[:1])


def test_leases_of_all_agents_count(node: Node) -> None:
    with node.client() as one, node.client() as other:
        one.admit(cpus=3)
        assert other.admission_refusal(cpus=1.5) == (
            "cpus",
            f"cpus: 1.5 requested, 1 of 4 free, 0 in use besides leases; leased: {ME} 3",
        )
        other.admit(cpus=1)


def test_the_node_itself_is_measured(node: Node) -> None:
    node.measures(cpus=2, r1m=2.0, total_gib=4, available_gib=1)
    with node.client() as client:
        kernel: dict[str, object] = {"cpus": None, "slots": None}
        assert client.admission_refusal(kernel, cpus=1) == (
            "cpus",
            "cpus: 1 requested, 0.5 of 2 free, 1.5 in use besides leases",
        )
        assert client.admission_refusal(mem_bytes=2 * GIB)[1].startswith("memory: 2 GiB requested, 1 GiB of 4 GiB free")
        client.admit(kernel, cpus=0.5, mem_bytes=GIB)


def test_a_lease_that_has_come_into_view_is_not_counted_twice(node: Node) -> None:
    with node.client() as client:
        client.admit(cpus=2)
        node.measures(r1m=2.0, uptime_s=5600)
        client.admit(cpus=2)


@pytest.mark.parametrize("missing", ["loadavg", "meminfo", "stat", "uptime"])
def test_what_cannot_be_measured_is_not_taken_for_idle(node: Node, missing: str) -> None:
    (node.proc / missing).unlink()
    with node.client() as client:
        kind, reason = client.admission_refusal(cpus=1)
    assert kind == "resources"
    assert reason.startswith("load, uptime or memory is unknown: ")
    assert missing in reason


def test_exclusive_is_alone_both_ways(node: Node) -> None:
    with node.client() as client, node.client() as other:
        job = client.admit(cpus=1)
        kind, reason = other.admission_refusal(exclusive=True)
        assert (kind, reason) == ("exclusive", f"--exclusive needs an empty node, leases held: 1; leased: {ME} 1")
        client.ask("end", job, grace_s=0, why="")
        client.until_refused(job)
        wait_until_gone(node)
        other.admit(exclusive=True)
        assert client.admission_refusal()[0] == "exclusive"


def wait_until_gone(node: Node) -> None:
    for path in node.leases():
        wait_until_void(path)


def test_slots_are_counted_where_they_are_known(node: Node) -> None:
    one: dict[str, object] = {"cpus": 4, "slots": 1}
    with node.client() as client:
        client.admit(one, cpus=1)
        assert client.admission_refusal(one, cpus=1) == ("slots", f"slots: 1 requested, 0 of 1 free; leased: {ME} 1")
        client.admit(one)  # who asks for nothing else takes no room


def test_a_lease_that_cannot_be_meant_is_refused(node: Node) -> None:
    with node.client() as client:
        assert client.admission_refusal(cpus=-1) == ("spec", "lease: 'cpus' must be a number, 0 or more, not -1")


def test_more_gpus_than_a_lease_can_name_are_refused(node: Node) -> None:
    with node.client() as client:
        task_job = [f"GPU-{n:040d}" for n in range(30)]
        assert client.admission_refusal(gpu_count=30, gpu_candidates=task_job) == (
            "gpus",
            "30 GPUs do not fit into a lease of 1024 bytes",
        )


def test_admission_is_asked_for_once_and_before_the_start(node: Node) -> None:
    with node.client() as client:
        job = client.admit()
        client.ask("admit", job, lease={}, capacity={})
        assert client.event() == {"ev": "error", "why": f"admit: {job} asked for that before", "job": job}
        client.ask("start", job, spec={"argv": ["sleep", "600"]})
        client.until("started", job)
        client.ask("admit", job, lease={}, capacity={})
        assert client.event() == {"ev": "error", "why": f"admit: {job} was started before", "job": job}


# -- the ends of a reservation -------------------------------------------------------------------


def test_a_reservation_that_is_not_started_expires(node: Node) -> None:
    with node.client(CLBALANCE_RESERVE_S="0.3") as client:
        job = client.admit(cpus=4)
        refused = client.until_refused(job)
        assert (refused["kind"], refused["why"]) == ("expired", "was not started within 0.3 s of its admission")
        assert node.leases() == []
        client.ask("start", job, spec={"argv": ["true"]})
        client.admit(cpus=4)  # and the belated start is not answered


def test_a_started_job_outlives_the_time_of_reservations(node: Node) -> None:
    with node.client(CLBALANCE_RESERVE_S="0.2") as client:
        job = client.admit(cpus=4)
        client.ask("follow", job, window=1)
        client.ask("start", job, spec={"argv": ["sleep", "0.6"]})
        assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 0}


def test_a_nonsense_time_of_reservations_is_the_usual_one(node: Node) -> None:
    with node.client(CLBALANCE_RESERVE_S="soon") as client:
        client.admit()
        assert client.line(0.3) is None


def test_ending_a_reservation_gives_it_back(node: Node) -> None:
    with node.client() as client:
        job = client.admit(cpus=4)
        client.ask("end", job, grace_s=0, why="another node refused")
        refused = client.until_refused(job)
        assert (refused["kind"], refused["why"]) == ("cancelled", "another node refused")
        wait_until_gone(node)
        client.admit(cpus=4)


def test_a_start_that_fails_gives_the_lease_back(node: Node) -> None:
    with node.client() as client:
        job = client.admit(cpus=4)
        client.ask("start", job, spec={"argv": ["no-such-program"]})
        refused = client.until_refused(job)
        assert (refused["kind"], refused["rc"]) == ("exec", 127)
        assert node.leases() == []


def stop(client: AgentClient) -> None:
    client.process.terminate()


def kill(client: AgentClient) -> None:
    client.process.kill()


def hang_up(client: AgentClient) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()


@pytest.mark.parametrize("go", [stop, kill, hang_up])
def test_a_reservation_ends_at_once_when_its_agent_goes(node: Node, go: Callable[[AgentClient], None]) -> None:
    with node.client() as client:
        path = node.lease_of(client.admit(cpus=4))
        go(client)
        assert wait_until_void(path) < 25
    assert node.leases() == []


@pytest.mark.parametrize("go", [kill, hang_up])
def test_an_agent_that_goes_during_admission_leaves_no_lease(node: Node, go: Callable[[AgentClient], None]) -> None:
    with node.client() as client, locked("flock", node.base):
        client.ask_admission(cpus=4)
        client.until("claimed")
        go(client)
        client.process.wait(WAIT_S)
    with node.client() as other:
        other.admit(cpus=4)
        assert len(node.leases()) == 1


def test_a_lease_is_held_until_the_jobs_whole_tree_is_gone(node: Node) -> None:
    pids = node.base / "pids"
    deaf = f"trap '' TERM; echo $$ >> {pids}; exec setsid sh -c 'echo $$ >> {pids}; sleep 600'"
    with node.client() as client:
        job = client.admit(cpus=4)
        path = node.lease_of(job)
        text = f"({deaf}) & until [ $(wc -l < {pids}) -ge 2 ]; do sleep 0.02; done"
        client.ask("start", job, spec={"argv": ["sh", "-c", text]})
        client.until("started", job)
        left = pids_in(pids, 2)
        wait_until_void(path)
        assert gone(left, 0)


@pytest.mark.parametrize("started", [False, True], ids=["reserved", "running"])
def test_a_lease_is_void_the_moment_its_supervisor_dies(node: Node, started: bool) -> None:
    with node.client() as client, node.client() as other:
        job = client.admit(cpus=4)
        path = node.lease_of(job)
        supervisor = locker_of(path)
        if started:
            client.ask("start", job, spec={"argv": ["sleep", "600"]})
            client.until("started", job)
        os.kill(supervisor, signal.SIGKILL)
        assert gone([supervisor])
        assert path.exists()
        other.admit(cpus=4)
        assert not path.exists()  # swept by the next admission of its owner
        if not started:
            assert client.until_refused(job)["why"] == "its supervisor died before it could start"


def test_what_a_supervisor_left_that_died_in_the_midst_of_it_is_swept(node: Node) -> None:
    left = node.mark("new-" + "0" * 32 + ".1", b"half", os.geteuid())
    with node.client() as client:
        client.admit()
    assert not left.exists()


# -- the node's lock -----------------------------------------------------------------------------


@as_root
@pytest.mark.root
def test_a_held_lock_refuses_in_time_and_tells_by_whom(node: Node) -> None:
    node.limits = {"LOCK_WITHIN_S": 2}
    with node.client() as client, locked("flock", node.base, uid=ALICE) as pid:
        client.until("hello")
        began = time.monotonic()
        refused = client.admission_refusal(cpus=1)
        assert 1.9 < time.monotonic() - began < SOON_S
        assert refused == ("lock", f"lock held by pid {pid}, user uid {ALICE}")


def test_an_agent_serves_its_other_jobs_while_one_waits_for_the_lock(node: Node) -> None:
    node.limits = {"LOCK_WITHIN_S": 10}
    with node.client() as client:
        job = client.admit(cpus=1)
        with locked("flock", node.base):
            waiting = client.ask_admission(cpus=1)
            client.ask("follow", job, window=1)
            client.ask("start", job, spec={"argv": ["true"]})
            assert client.until("ended", job)["end"]["rc"] == 0
            assert client.until_refused(waiting)["kind"] == "lock"


def test_a_lock_that_is_let_go_in_time_is_taken(node: Node) -> None:
    with node.client() as client:
        with locked("flock", node.base):
            job = client.ask_admission(cpus=1)
            client.until("claimed")
            assert client.line(0.1) is None
        assert client.until("admitted")["job"] == job


def test_a_supervisor_that_hangs_at_admission_is_ended_by_the_clock(node: Node) -> None:
    node.limits = {"ADMIT_WITHIN_S": 4}
    (node.proc / "loadavg").unlink()
    os.mkfifo(node.proc / "loadavg")
    with node.client() as client:
        began = time.monotonic()
        refused = client.admission_refusal(cpus=1)
        assert time.monotonic() - began < SOON_S
        assert refused == ("lock", "its supervisor died at admission, for which it has 4 s")


@as_root
@pytest.mark.root
def test_a_full_disk_refuses_the_lease_and_leaves_no_half_of_it(node: Node, tiny_base: None) -> None:
    with node.client() as client:
        client.ask_node("resume")
        with (node.base / "fill").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            file.writelines(itertools.repeat(bytes(4096)))
        assert client.admission_refusal(cpus=1) == ("storage", "No space left on device")
        assert [path.name for path in node.home().iterdir()] == ["jobs"]
