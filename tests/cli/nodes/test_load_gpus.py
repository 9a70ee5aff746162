"""`load --gpus` and `load --jobs`: who is on which device, and what runs on which node."""

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clbalance.lab.cluster import Lab
from clbalance.lab.load import MIB, GpuLoad
from tests.cli.command import Command
from tests.waiting import eventually

ME = pwd.getpwuid(os.getuid()).pw_name
GIB = 1024 * MIB


@contextmanager
def job(clbalance: Command, *options: str) -> Iterator[tuple[int, int]]:
    """The number of a job on node5, and the pid of a process of it there."""
    number = clbalance("run", "-q", "--detach", "-w", "node5", *options, "-c", "sleep 600 & echo $! >pid; wait").text
    try:
        pid = clbalance.folder / "pid"
        eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
        yield int(number), int(pid.read_text())
    finally:
        clbalance("cancel", number.strip())


def put(lab: Lab, *loads: GpuLoad) -> None:
    lab.node("node5").load(gpus=loads)


def cells(clbalance: Command, *arguments: str) -> list[list[str]]:
    done = clbalance("load", "-w", "node5", *arguments, "--format", "plain")
    assert done.rc == 0, done.stderr
    return [line.split("\t") for line in done.lines]


def node5(clbalance: Command, *arguments: str) -> dict[str, Any]:
    (node,) = json.loads(clbalance("load", "-w", "node5", "--json", *arguments).stdout)["nodes"]
    return dict(node)


def test_each_process_on_a_device_has_its_owner_and_its_job(lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "--gpus", "1", "--name", "train") as (number, pid):
        put(lab, GpuLoad(index=0, use_pct=95, mem_used_bytes=30 * GIB, process=f"/usr/bin/python3@{pid}+eval"))
        first, second, third = (line[16:] + line[9:10] + line[12:15] for line in cells(clbalance, "--gpus"))
        assert first == [str(number), "busy", ME, str(pid), "/usr/bin/python3"]
        assert second == ["stranger", "busy", "nobody", "410000", "eval"]
        assert third == ["-", "free", "-", "-", "-"]
        header, *lines = clbalance("load", "-w", "node5", "--gpus").lines
        assert header.split() == [
            "NODE",
            "GPU",
            "MODEL",
            "DRIVER",
            "MEM",
            "USE",
            "TEMP",
            "STATE",
            "USER",
            "PID",
            "GPU-MEM",
            "JOB",
            "PROGRAM",
        ]
        assert lines[0].split() == [
            *("node5", "0", "A100-SXM4-40GB", "550.54.15", "30G/40G", "95%", "77C", "busy"),
            *(ME, str(pid), "15G", str(number), "python3"),
        ]
        assert lines[1].split() == ["node5", "0", "nobody", "410000", "15G", "stranger", "eval"]
        processes = node5(clbalance, "--gpus")["gpus"][0]["processes"]
        assert [(one["user"], one["stranger"], one["job"] and one["job"]["id"]) for one in processes] == [
            (ME, False, number),
            ("nobody", True, None),
        ]


def test_a_device_that_is_leased_and_not_used_has_its_job(lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "--gpus", "1") as (number, _):
        (first, _) = cells(clbalance, "--gpus")
        assert (first[9], first[12], first[13], first[16]) == ("busy", ME, "-", str(number))


def test_a_job_beyond_its_share_is_told_by_load_and_by_jobs(lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "--gpu-share", "0.25") as (number, pid):
        put(lab, GpuLoad(index=0, mem_used_bytes=11 * GIB, process=f"python3@{pid}"))
        assert "its share is" not in clbalance("load", "-w", "node5", "--gpus").text + clbalance("jobs").text
        put(lab, GpuLoad(index=0, mem_used_bytes=15 * GIB, process=f"python3@{pid}"))
        message = "holds 15G, its share is 10G"
        assert clbalance("load", "-w", "node5", "--gpus").lines[1].endswith(message)
        assert clbalance("load", "-w", "node5", "--jobs").lines[1].endswith(f"(GPU 0: {message})")
        assert clbalance("jobs").lines[1].endswith(f"(GPU 0 of node5: {message})")
        (row,) = json.loads(clbalance("jobs", "--json").stdout)["jobs"]
        (over,) = row["over_share"]
        assert (row["id"], over["node"], over["mem_bytes"], over["share_bytes"]) == (
            number,
            "node5",
            15 * GIB,
            10 * GIB,
        )
        elsewhere = clbalance("jobs", "--all-users", "-w", "node5", env={"CLBALANCE_STATE_DIR": "elsewhere"})
        assert elsewhere.lines[1].endswith(message)
        assert elsewhere.lines[1].split()[0] == f"{ME}/{row['key'][:12]}"


def test_mig_instances_and_devices_that_cannot_be_read_are_lines(lab: Lab, clbalance: Command) -> None:
    held = GpuLoad(index=0, part=1, mem_used_bytes=4 * GIB, process="notebook")
    lab.node("node5").load(gpus=(held,), gpu_parts=((0, 2),), gpu_faults=((1, "xid"),))
    found = cells(clbalance, "--gpus")
    assert [(line[1], line[9], line[14]) for line in found] == [
        ("0.0", "free", "-"),
        ("0.1", "busy", "notebook"),
        ("1", "faulty", "-"),
    ]
    assert clbalance("load", "-w", "node5", "--gpus").lines[3].endswith("Xid 79: GPU has fallen off the bus")
    lab.node("node5").load(gpu_tool="fail")
    (line,) = cells(clbalance, "--gpus")
    assert (line[0], line[9], "NVIDIA-SMI has failed" in line[10]) == ("node5", "unknown", True)


def test_nodes_without_gpus_are_a_remark_and_silent_ones_are_lines(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").kill()
    done = clbalance("load", "-w", "node[1-3,6]", "--gpus", "--format", "plain")
    assert [line.split("\t")[0] for line in done.lines] == ["node6", "node6", "node2"]
    assert done.stderr == "clbalance: no GPUs on node[1,3]\n"
    assert clbalance("load", "-w", "node1", "--gpus", "-q").stderr == ""


def test_conditions_leave_devices_out(lab: Lab, clbalance: Command) -> None:
    put(lab, GpuLoad(index=1, use_pct=60, mem_used_bytes=30 * GIB, process="train.py"))
    assert [line[1] for line in cells(clbalance, "--gpus", "--where", "gut > 50")] == ["1"]
    assert [line[1] for line in cells(clbalance, "--gpus", "--where", "mem > 0")] == ["0", "1"]


def test_jobs_on_nodes_come_with_their_resources_and_the_commands_that_one_may_see(
    lab: Lab, clbalance: Command
) -> None:
    with job(clbalance, "--gpus", "2", "--cpus", "2", "--mem", "1G", "--name", "train") as (number, _):
        header, line = clbalance("load", "-w", "node[1,5]", "--jobs").lines
        assert header.split() == ["NODE", "USER", "JOB", "NAME", "CPUS", "MEM", "GPUS", "TIME", "COMMAND", "(REASON)"]
        assert line.split()[:7] == ["node5", ME, str(number), "train", "2", "1.0G", "0,1"]
        assert "sleep 600" in line
        (lease,) = node5(clbalance, "--jobs")["leases"]
        assert (lease["id"], lease["user"], lease["uid"], lease["cpus"]) == (number, ME, os.getuid(), 2.0)
        assert "sleep 600" in lease["command"]
        (line,) = clbalance("load", "-w", "node5", "--jobs", env={"CLBALANCE_STATE_DIR": "elsewhere"}).lines[1:]
        assert line.split()[2] == f"{ME}/{lease['key'][:12]}"
        assert "sleep 600" not in line
        # Without the tables nobody looks up names.
        assert [(one["id"], one["user"]) for one in node5(clbalance)["leases"]] == [(None, None)]


def test_two_tables_at_once_are_refused(clbalance: Command) -> None:
    done = clbalance("load", "-w", "node5", "--gpus", "--jobs")
    assert done.rc == 2
    assert "two views" in done.stderr
