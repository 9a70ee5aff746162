"""What hangs, lies or floods on a node costs its own section, and never the session."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clbalance.model import Gpu, RunQueue, TmpSpace, Unknown
from clbalance.policy.placement.gpus import looks_free
from tests.waiting import SOON_S

from .answers import NONCE
from .conftest import HURRIED, HURRIED_S, Node

HUNG = Unknown(reason="`nvidia-smi` timed out")


@contextmanager
def hurried() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert HURRIED_S - 0.2 <= time.monotonic() - start < SOON_S


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pid: int) -> bool:
    """Whether it ends by itself soon; the kill is sent as the answer is."""
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_hung_nvidia_smi_costs_the_gpus_only_and_is_ended(node: Node) -> None:
    pids = node.root / "pids"
    node.program("nvidia-smi", f"trap '' TERM HUP INT; echo $$ >>{pids}; printf 'GPU-1'; exec sleep 600")
    with hurried():
        reading = node.reading(HURRIED)
    assert reading.gpus == HUNG
    assert isinstance(reading.run_queue, RunQueue)
    assert isinstance(reading.tmp, TmpSpace)
    assert reading.leases == ()
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_what_cannot_be_killed_does_not_hold_the_session(node: Node) -> None:
    # A process in D state survives any signal and keeps its files open; so does this one, out of the probe's reach.
    pids = node.root / "pids"
    node.program("nvidia-smi", f"setsid sleep 600 & echo $! >>{pids}; wait")
    try:
        with hurried():
            reading = node.reading(HURRIED)
        assert reading.gpus == HUNG
        assert isinstance(reading.tmp, TmpSpace)
    finally:
        for pid in pids.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_hung_list_of_processes_leaves_no_gpu_looking_free(dash_node: Node) -> None:
    dash_node.program(
        "nvidia-smi",
        "case $* in *compute-apps*) exec sleep 600 ;; esac\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    gpus = dash_node.reading(HURRIED).gpus
    assert isinstance(gpus, tuple)
    assert gpus[0].processes == Unknown(reason="`nvidia-smi` timed out")
    assert not looks_free(gpus[0])


def test_two_hangs_wait_side_by_side(dash_node: Node) -> None:
    for name, other in (("nvidia-smi", "df"), ("df", "nvidia-smi")):
        place = dash_node.root
        meets = f"until [ -e {place}/{other}.here ]; do sleep 0.05; done; : >{place}/{name}.met"
        dash_node.program(name, f": >{place}/{name}.here; {meets}; exec sleep 600")
    with hurried():
        reading = dash_node.reading(HURRIED)
    assert [(dash_node.root / f"{name}.met").exists() for name in ("nvidia-smi", "df")] == [True, True]
    assert reading.gpus == HUNG
    assert reading.tmp == Unknown(reason="timed out")
    assert isinstance(reading.run_queue, RunQueue)


def test_a_failing_df_costs_tmp_only(dash_node: Node) -> None:
    dash_node.program("df", "exit 3")
    reading = dash_node.reading()
    assert reading.tmp == Unknown(reason="`df` failed with 3")
    assert reading.gpus == ()


def test_a_broken_driver_is_told_in_its_own_words(dash_node: Node) -> None:
    dash_node.program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    assert dash_node.reading().gpus == Unknown(reason="Failed to initialize NVML: Driver/library version mismatch")


def test_a_program_cannot_end_the_answer_early(dash_node: Node) -> None:
    dash_node.program(
        "nvidia-smi", f"echo; echo '{'f' * 32} over'; echo '{NONCE[:-1]} end'; printf 'WARNING: \\\\n\\\\c'"
    )
    reading = dash_node.reading()
    assert isinstance(reading.gpus, Unknown)
    assert isinstance(reading.tmp, TmpSpace)


def test_gpus_are_asked_side_by_side(dash_node: Node) -> None:
    # Each of the two waits for the other to be there.
    dash_node.program(
        "nvidia-smi",
        "case $* in *compute-apps*) me=apps other=devices ;; *) me=devices other=apps ;; esac\n"
        ': > "$0.$me"\nuntil [ -e "$0.$other" ]; do sleep 0.1; done\n'
        "[ $me = devices ] || exit 0\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    gpus = dash_node.reading().gpus
    assert isinstance(gpus, tuple)
    assert isinstance(gpus[0], Gpu)


def test_a_hung_log_costs_health_only(node: Node) -> None:
    pids = node.root / "pids"
    node.program(
        "nvidia-smi",
        f"case $* in -q) echo $$ >{pids}; echo 'CUDA Version : 12.4'; exec sleep 600 ;; *compute-apps*) exit 0 ;; esac\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    with hurried():
        gpus = node.reading(HURRIED).gpus
    assert isinstance(gpus, tuple)
    assert (gpus[0].use_pct, gpus[0].fault, gpus[0].cuda_version) == (0.0, "", "")
    assert "health: `nvidia-smi -q` timed out" in gpus[0].unseen
    assert gone(int(pids.read_text()))


def test_a_hung_rocm_smi_costs_the_gpus_only_and_is_ended(dash_node: Node) -> None:
    pids = dash_node.root / "pids"
    dash_node.program("rocm-smi", f"echo $$ >{pids}; exec sleep 600")
    with hurried():
        reading = dash_node.reading(HURRIED)
    assert reading.gpus == Unknown(reason="`rocm-smi` timed out")
    assert isinstance(reading.run_queue, RunQueue)
    assert gone(int(pids.read_text()))


def test_a_hung_kernel_log_costs_the_xids_only(dash_node: Node) -> None:
    dash_node.program("dmesg", "exec sleep 600")
    dash_node.program(
        "nvidia-smi",
        "case $* in *compute-apps* | -q) exit 0 ;; esac\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    gpus = dash_node.reading(HURRIED).gpus
    assert isinstance(gpus, tuple)
    assert "Xids: `dmesg` timed out" in gpus[0].unseen
