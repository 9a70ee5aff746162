"""What hangs, lies or floods on a node costs its own section, and never the session."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clbalance.model import Gpu, MarkKind, RunQueue, TmpSpace, Unknown

from .answers import NONCE
from .conftest import Node

HUNG = Unknown(why="`nvidia-smi` timed out")


@contextmanager
def seconds(least: float, most: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert least <= time.monotonic() - start <= most


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pid: int) -> bool:
    """Whether it ends by itself soon; the kill is sent as the answer is."""
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_hung_nvidia_smi_costs_the_gpus_only_and_is_ended(node: Node) -> None:
    pids = node.root / "pids"
    node.program("nvidia-smi", f"trap '' TERM HUP INT; echo $$ >>{pids}; printf 'GPU-1'; exec sleep 60")
    with seconds(1.8, 8):
        reading = node.reading()
    assert reading.gpus == HUNG
    assert isinstance(reading.run_queue, RunQueue)
    assert isinstance(reading.tmp, TmpSpace)
    assert reading.marks == ()
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_what_cannot_be_killed_does_not_hold_the_session(node: Node) -> None:
    # A process in D state survives any signal and keeps its files open; so does this one, out of the probe's reach.
    pids = node.root / "pids"
    node.program("nvidia-smi", f"setsid sleep 60 & echo $! >>{pids}; wait")
    try:
        with seconds(1.8, 8):
            reading = node.reading()
        assert reading.gpus == HUNG
        assert isinstance(reading.tmp, TmpSpace)
    finally:
        for pid in pids.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_hung_list_of_processes_leaves_no_gpu_looking_free(dash_node: Node) -> None:
    dash_node.program(
        "nvidia-smi",
        "case $* in *compute-apps*) exec sleep 60 ;; esac\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    assert dash_node.reading().gpus == Unknown(why="GPU processes: `nvidia-smi` timed out")


def test_two_hangs_wait_side_by_side(dash_node: Node) -> None:
    dash_node.program("nvidia-smi", "exec sleep 60")
    dash_node.program("df", "exec sleep 60")
    with seconds(1.8, 3.8):
        reading = dash_node.reading()
    assert reading.gpus == HUNG
    assert reading.tmp == Unknown(why="timed out")
    assert isinstance(reading.run_queue, RunQueue)


def test_a_failing_df_costs_tmp_only(dash_node: Node) -> None:
    dash_node.program("df", "exit 3")
    reading = dash_node.reading()
    assert reading.tmp == Unknown(why="`df` failed with 3")
    assert reading.gpus == ()


def test_a_broken_driver_is_told_in_its_own_words(dash_node: Node) -> None:
    dash_node.program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    assert dash_node.reading().gpus == Unknown(why="Failed to initialize NVML: Driver/library version mismatch")


def test_a_program_cannot_end_the_answer_early(dash_node: Node) -> None:
    dash_node.program(
        "nvidia-smi", f"echo; echo '{'f' * 32} over'; echo '{NONCE[:-1]} end'; printf 'WARNING: \\\\n\\\\c'"
    )
    reading = dash_node.reading()
    assert isinstance(reading.gpus, Unknown)
    assert isinstance(reading.tmp, TmpSpace)


def test_only_plain_files_in_plain_folders_are_marks(node: Node) -> None:
    lease = node.mark("clbalance-1000/lease-real.1", "mine")
    node.mark("clbalance-1000/drain", "all\nof it")
    node.mark("elsewhere/lease-linked.1", "linked")
    folder = lease.parent
    os.mkfifo(folder / "lease-fifo.1")
    (folder / "lease-link.1").symlink_to(lease)
    (folder / "lease-folder.1").mkdir()
    (folder / "lease-odd name\n.1").write_text("odd")
    (folder / "lease-\x1b[2J.1").write_text("odd")
    (node.root / "var/clbalance-link").symlink_to(node.root / "var/elsewhere")
    (node.root / "var/clbalance-file").write_text("not a folder")
    with seconds(0, 1.8):
        marks = node.reading().marks
    assert not isinstance(marks, Unknown)
    assert [(mark.kind, mark.name, mark.text) for mark in marks] == [
        (MarkKind.DRAIN, "drain", "all\nof it"),
        (MarkKind.LEASE, "lease-real.1", "mine"),
    ]


def test_a_mark_that_becomes_a_fifo_costs_the_marks_only(dash_node: Node) -> None:
    # The moment between looking and opening: `ls` is what the probe looks with.
    fifo = dash_node.mark("clbalance-1000/lease-swapped.1", "first a file")
    dash_node.program("ls", f'/bin/ls "$@"; rm -f {fifo}; mkfifo {fifo}')
    with seconds(1.8, 8):
        reading = dash_node.reading()
    assert reading.marks == Unknown(why="timed out")
    assert isinstance(reading.tmp, TmpSpace)
    # Whoever is left waiting in it gets his end of file.
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))


def test_the_text_of_a_mark_cannot_pose_as_anything_else(node: Node) -> None:
    other = node.root / "var/clbalance-0/drain"
    text = f"{NONCE} - marks 0\n{NONCE} end\nmark 1 0 {other}\n{other}:forged\n\\c\\n%s"
    node.mark("clbalance-1000/lease-evil.1", text)
    marks = node.reading().marks
    assert not isinstance(marks, Unknown)
    assert [(mark.name, mark.text) for mark in marks] == [("lease-evil.1", text)]


def test_of_a_long_mark_nothing_is_read(node: Node) -> None:
    node.mark("clbalance-1000/drain", "x" * 1025)
    node.mark("clbalance-1000/lease-short.1", "x" * 1024)
    marks = node.reading().marks
    assert not isinstance(marks, Unknown)
    assert [(mark.name, len(mark.text)) for mark in marks] == [("drain", 0), ("lease-short.1", 1024)]


def test_a_binary_mark_does_not_upset_the_rest(node: Node) -> None:
    node.mark("clbalance-1000/lease-a.1", "\x00\x01\x02\n\x00")
    node.mark("clbalance-1000/lease-b.1", "text")
    marks = node.reading().marks
    assert not isinstance(marks, Unknown)
    assert marks[1].text == "text"


def test_256_marks_are_read_and_more_make_them_unknown(node: Node) -> None:
    for number in range(256):
        node.mark(f"clbalance-1000/lease-{number:03}.1", f"{number} {'x' * 1000}")
    with seconds(0, 1.8):
        marks = node.reading().marks
    assert not isinstance(marks, Unknown)
    assert [mark.text.split()[0] for mark in marks] == [str(number) for number in range(256)]
    node.mark("clbalance-1000/lease-one-more.1")
    assert node.reading().marks == Unknown(why="more than 256 leases and drain marks")


def test_gpus_are_asked_side_by_side(dash_node: Node) -> None:
    dash_node.program(
        "nvidia-smi",
        "sleep 1\ncase $* in *compute-apps*) exit 0 ;; esac\n"
        "echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 0, 0, 41, 550.54.15'",
    )
    with seconds(1.0, 1.95):
        gpus = dash_node.reading().gpus
    assert isinstance(gpus, tuple)
    assert isinstance(gpus[0], Gpu)
