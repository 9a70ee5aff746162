"""Whose the processes on GPUs are: in real shells, and from hostile lines."""

import os
import subprocess

from clbalance.model import Gpu, GpuProcess, Unknown
from clbalance.node import probe_script
from clbalance.probe.frame import Section
from clbalance.probe.gpu_owners import with_owners

from .conftest import HOME, Node

ASKING = probe_script(owners=True)
UNKNOWN = Unknown(reason="not told")


def smi(node: Node, *apps: str) -> None:
    lines = "\n".join(f"echo 'GPU-1-a, {app}'" for app in apps)
    device = "echo 'GPU-1-a, 0, A100, 81559, 1234, 7, 41, 550.54.15'"
    node.program("nvidia-smi", f'case "$*" in *compute-apps*)\n{lines} ;; -q) ;; *) {device} ;; esac')


def processes(node: Node) -> tuple[GpuProcess, ...]:
    gpus = node.reading(ASKING).gpus
    assert not isinstance(gpus, Unknown)
    assert not isinstance(gpus[0].processes, Unknown)
    return gpus[0].processes


def test_every_shell_tells_whose_a_gpu_process_is_and_of_which_job(node: Node) -> None:
    script = "sleep 60 & echo $!; read -r _; kill $!"
    with (
        node.lease(f"{HOME}/lease-0123.1"),
        subprocess.Popen(["sh", "-c", script], stdin=-1, stdout=-1, text=True) as job,
    ):
        assert job.stdin is not None
        assert job.stdout is not None
        grandchild = int(job.stdout.readline())
        smi(node, f"{grandchild}, python3, 1200", "4194304, gone, 8")
        found = processes(node)
        job.stdin.close()
    assert [(one.pid, one.uid, one.lease) for one in found] == [
        (grandchild, os.getuid(), f"{os.getuid()}/0123.1"),
        (4194304, None, ""),
    ]


def test_a_process_without_a_job_above_it_is_a_strangers(node: Node) -> None:
    with node.lease(f"{HOME}/lease-0123.1"):
        smi(node, f"{os.getppid()}, python3, 1200")
        (found,) = processes(node)
    assert (found.uid, found.lease) == (os.stat(f"/proc/{os.getppid()}").st_uid, "")


def test_a_name_that_the_driver_hides_is_the_kernels(node: Node) -> None:
    smi(node, f"{os.getpid()}, [Not Found], 8")
    (found,) = processes(node)
    with open("/proc/self/comm") as file:
        assert found.name == file.read().strip()


def test_words_in_place_of_a_pid_are_not_looked_up(node: Node) -> None:
    (node.root / "1").mkdir()
    smi(node, "*, x, 8", "-1, x, 8", "[N/A], x, 8")
    assert "gpu_owners" not in node.sections(ASKING)


def test_nobody_looks_for_owners_unless_they_are_asked_for(node: Node) -> None:
    smi(node, f"{os.getpid()}, x, 8")
    assert "gpu_owners" in node.sections(ASKING)
    assert "gpu_owners" not in node.sections()


def device(*pids: int) -> Gpu:
    return Gpu(
        uuid="GPU-1",
        index=0,
        model="A100",
        mem_total_bytes=1,
        mem_used_bytes=0,
        use_pct=0.0,
        temperature_c=0.0,
        driver_version="",
        processes=tuple(GpuProcess(pid=pid, name="x", mem_bytes=UNKNOWN) for pid in pids),
    )


def leases(text: str, *pids: int) -> list[tuple[int | None, str]]:
    section = Section(text=text, status="0")
    gpus = with_owners((device(*pids),), {"gpu_owners": section}, {7: "k.1", 30: "l.2"})
    assert isinstance(gpus, tuple)
    assert isinstance(gpus[0].processes, tuple)
    return [(one.uid, one.lease) for one in gpus[0].processes]


def test_ancestors_that_several_processes_share_are_told_once() -> None:
    assert leases("9 8 5 x\n8 7 5 sh\n7 1 5 python3\n10 8 5 y", 9, 10) == [(5, "k.1"), (5, "k.1")]


def test_the_nearest_supervisor_counts() -> None:
    assert leases("40 30 5 x\n30 7 5 python3\n7 1 5 python3", 40) == [(5, "l.2")]


def test_processes_that_are_their_own_ancestors_belong_to_no_job() -> None:
    assert leases("8 9 5 x\n9 8 5 x", 8) == [(5, "")]


def test_lines_that_do_not_parse_cost_their_own_process_only() -> None:
    assert leases("8 x 5 x\n9 7 99999999999 x\n10 7 5 \x1b[31m\n\n9", 8, 9, 10) == [(None, ""), (None, ""), (5, "k.1")]
