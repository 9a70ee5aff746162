"""What jobs print arrives, byte for byte, with labels, folded, or in files; and in bounded memory."""

import fcntl
import hashlib
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import termios
from contextlib import closing
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command, ended, nothing_left, send
from tests.waiting import eventually

EVERY_BYTE = r'i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i+1)); done'
MIB = 1 << 20
PLAIN = {"NO_COLOR": "1"}


def test_one_nodes_output_is_byte_for_byte_its_own(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node1", "-c", EVERY_BYTE)
    assert done.stdout == bytes(range(256))


def test_an_unfinished_last_line_stays_unfinished(clbalance: Command) -> None:
    assert clbalance("run", "-q", "-w", "node1", "--", "printf", "no newline").stdout == b"no newline"
    assert clbalance("run", "-q", "-w", "node1", "--", "true").stdout == b""


def test_stdout_and_stderr_stay_apart(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node1", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", "err\n")


def test_a_hundred_megabytes_arrive_in_bounded_memory(clbalance: Command) -> None:
    count = 100 * MIB
    child = clbalance.start("run", "-q", "-w", "node1", "--", "head", "-c", str(count), "/dev/urandom")
    assert child.stdout is not None
    received, peak_kib = 0, 0
    while piece := os.read(child.stdout.fileno(), MIB):
        received += len(piece)
        if received > count - 4 * MIB:
            peak_kib = max(peak_kib, _peak_kib(child.pid))
    assert (ended(child), received) == (0, count)
    assert 0 < peak_kib < 200 * 1024


def _peak_kib(pid: int) -> int:
    """The high-water mark of a process, 0 if it has ended. That of wait4(2) would begin with ours, which the fork passes on."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    parts = status.partition("VmHWM:")[2].split()
    return int(parts[0]) if parts else 0


def test_a_slow_reader_holds_the_job_back_and_loses_nothing(clbalance: Command) -> None:
    child = clbalance.start("run", "-q", "-w", "node1", "-c", "seq 1 400000")
    assert child.stdout is not None
    digest = hashlib.sha256()
    while piece := os.read(child.stdout.fileno(), 777):
        digest.update(piece)
    expected = hashlib.sha256(b"".join(b"%d\n" % n for n in range(1, 400001)))
    assert ended(child) == 0
    assert digest.digest() == expected.digest()


def test_lines_of_several_nodes_carry_their_nodes_names(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "-c", "echo one; echo e >&2; printf two")
    assert sorted(done.lines) == ["node1: one", "node1: two", "node2: one", "node2: two"]
    assert sorted(done.stderr.splitlines()) == ["node1: e", "node2: e"]


def test_labels_can_be_had_and_declined(clbalance: Command) -> None:
    assert clbalance("run", "-q", "-w", "node1", "--label", "--", "echo", "x").text == "node1: x\n"
    done = clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--no-label", "--", "echo", "x")
    assert done.text == "x\nx\n"


def test_equal_outputs_are_folded(clbalance: Command) -> None:
    text = "test $CLBALANCE_NODE = node2 && echo odd || echo same"
    done = clbalance("run", "-q", "-w", "node[1-3]", "--pick", "3", "-b", "-c", text)
    rule = "-" * 15
    assert done.lines == [rule, "node[1,3] (2)", rule, "same", rule, "node2", rule, "odd"]


def test_output_goes_to_files_named_by_job_and_node(clbalance: Command, folder: Path) -> None:
    done = clbalance(
        "run",
        "-w",
        "node[1-2]",
        "--pick",
        "2",
        "--output",
        "out-%j-%n-%a",
        "--error",
        "err-%n",
        "-c",
        "echo o; echo e >&2",
    )
    assert (done.rc, done.stdout) == (0, b"")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "out-1-node1-1": "o\n", "out-1-node2-1": "o\n", "err-node1": "e\n", "err-node2": "e\n",
    }  # fmt: skip


def test_without_an_error_file_errors_join_the_output(clbalance: Command, folder: Path) -> None:
    clbalance("run", "-w", "node1", "--output", "both", "-c", "echo o; echo e >&2")
    assert sorted((folder / "both").read_text().splitlines()) == ["e", "o"]


@pytest.mark.parametrize("option", ["--output", "--error"])
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%q", "`%q` in '%q' is not known"),
        ("out-%t", "`%t` in 'out-%t' is not known"),
        ("no/such/%n", "cannot write 'no/such/%n': No such file"),
        ("file/%n", "cannot write 'file/%n': Not a directory"),
        (".", "cannot write '.': Is a directory"),
        ("", "cannot write '': No such file"),
    ],
)
def test_a_mistyped_file_is_told_before_the_job_has_a_number(
    clbalance: Command, folder: Path, option: str, pattern: str, message: str
) -> None:
    (folder / "file").touch()
    done = clbalance("run", "-w", "node1", option, pattern, "--", "true")
    assert (done.rc, done.stdout) == (2, b"")
    assert done.stderr.startswith(f"clbalance: {message}")
    assert clbalance("jobs", "--ended", "--json").text.startswith('{"schema": 1, "jobs": []')
    assert [one.name for one in folder.iterdir()] == ["file"]


def test_a_mistyped_file_of_tasks_is_told_before_they_have_a_number(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--array", "1-2", "--output", "no/such/%t", "-c", "true")
    assert (done.rc, done.stdout) == (2, b"")
    assert done.stderr.startswith("clbalance: cannot write 'no/such/%t': No such file")


def test_a_file_that_cannot_be_written_is_told_before_the_job_starts(lab: Lab, clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--output", "no/such/out", "-c", "touch $TMPDIR/ran")
    assert done.rc == 2
    assert "cannot write 'no/such/out'" in done.stderr
    assert "mkdir -p no/such" in done.stderr
    assert not (lab.node("node1").folder.tmp / "ran").exists()


@pytest.mark.parametrize("work", [["--"], ["--array", "1-1", "-c"]], ids=["a job", "tasks"])
@pytest.mark.parametrize("option", ["--output", "--error"])
def test_what_is_never_written_to_is_told_before_the_job_has_a_number(
    clbalance: Command, folder: Path, option: str, work: list[str]
) -> None:
    os.mkfifo(folder / "fifo")
    target = folder / "target"
    target.write_text("old")
    public = folder / "public"
    public.mkdir()
    public.chmod(0o1777)
    (public / "link").symlink_to(target)
    with closing(socket.socket(socket.AF_UNIX)) as bound:
        bound.bind(str(folder / "socket"))
        for name, message in [
            ("fifo", "it is a FIFO, and nobody reads from it"),
            ("socket", "it is a socket"),
            ("public/link", "is a link, and everybody may write to its folder"),
            ("/dev/fd/77", "descriptor 77 is not open"),
        ]:
            done = clbalance("run", "-w", "node1", option, name, *work, "true")
            assert (done.rc, done.stdout) == (2, b"")
            assert done.stderr.startswith(f"clbalance: cannot write '{name}': "), done.stderr
            assert message in done.stderr
    assert clbalance("jobs", "--ended", "--json").text.startswith('{"schema": 1, "jobs": []')
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    "work", [["--pick", "2", "-c"], ["--array", "1-2", "-c"], ["--pick", "1", "-c"]], ids=["copies", "tasks", "one"]
)
def test_a_fifo_gets_what_is_printed_and_stays_one(clbalance: Command, folder: Path, work: list[str]) -> None:
    os.mkfifo(folder / "fifo")
    reader = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = clbalance("run", "-q", "-w", "node[1-2]", "--output", "fifo", *work, "printf 'a\\nb\\n'")
        assert (done.rc, done.stdout, done.stderr) == (0, b"", "")
        assert sorted(os.read(reader, 100).splitlines()) == sorted([b"a", b"b"] * (1 if "1" in work else 2))
        assert os.read(reader, 100) == b""  # everybody has closed it
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((folder / "fifo").lstat().st_mode)


def test_devices_and_what_the_shell_has_opened_are_written_to(clbalance: Command, folder: Path) -> None:
    before = os.lstat("/dev/null")
    done = clbalance(
        "run", "-q", "-w", "node1", "--output", "/dev/null", "--error", "/dev/stderr", "-c", "echo o; echo e >&2"
    )
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "e\n")
    assert (os.lstat("/dev/null").st_ino, os.lstat("/dev/null").st_mode) == (before.st_ino, before.st_mode)
    done = subprocess.run(
        ["bash", "-c", '"$@" --output >(cat >copy) -- echo x && wait $!', "bash", *ARGV, "run", "-q", "-w", "node1"],
        env=dict(clbalance.env), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (folder / "copy").read_bytes() == b"x\n"


def test_a_terminal_that_is_named_gets_nothing_that_acts_on_it(clbalance: Command) -> None:
    text = r"printf '\033[31mred\033[0m \033]0;title\007\n'"
    terminal = clbalance.on_terminal("run", "-q", "-w", "node1", "--output", "/dev/tty", "-c", text)
    assert terminal.end() == 0
    assert b"\x1b[31mred\x1b[0m \\x1b]0;title\\x07" in terminal.raw
    assert b"\x1b]" not in terminal.raw


def test_a_reader_that_goes_away_is_told_and_what_is_left_of_the_job_can_be_ended(
    lab: Lab, clbalance: Command, folder: Path
) -> None:
    os.mkfifo(folder / "fifo")
    reader = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with nothing_left(lab):
        text = "while echo x; do sleep 0.1; done"
        child = clbalance.start("run", "-q", "-w", "node1", "--output", "fifo", "-c", text)
        eventually(lambda: _read_some(reader))
        os.close(reader)
        message = child.communicate()[1].decode()
        assert (child.returncode, "fifo': its reader has gone" in message) == (125, True)
        assert "`clbalance cancel 1` ends it" in message
        assert clbalance("cancel", "1").rc == 0


def test_a_reader_that_sleeps_holds_a_run_up_and_keeps_nobody_from_stopping_it(
    clbalance: Command, folder: Path
) -> None:
    os.mkfifo(folder / "fifo")
    reader = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        child = clbalance.start("run", "-q", "-w", "node1", "--output", "fifo", "-c", "yes & sleep 3600")
        eventually(lambda: _is_full(reader))
        assert child.poll() is None
        assert send(child, signal.SIGINT) < 30
        assert child.returncode == 130
    finally:
        os.close(reader)


def _is_full(reader: int) -> bool:
    """As much waits to be read as a pipe holds."""
    waiting = fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(waiting, sys.byteorder) > fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) - select.PIPE_BUF


def _read_some(reader: int) -> bytes:
    try:
        return os.read(reader, 1)
    except BlockingIOError:
        return b""


def test_a_placeholder_that_means_nothing_is_told(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--output", "out-%q", "--", "true")
    assert done.rc == 2
    assert "`%q`" in done.stderr


def test_a_terminal_shows_colours_and_nothing_that_acts_on_it(clbalance: Command) -> None:
    text = r"printf '\033[31mred\033[0m \033]0;title\007 \033[2J done\n'"
    terminal = clbalance.on_terminal("run", "-q", "-w", "node1", "-c", text)
    assert terminal.end() == 0
    assert b"\x1b[31mred\x1b[0m" in terminal.raw
    assert b"\x1b]" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw
    assert "red" in terminal.colors()


def test_the_summary_names_node_state_code_and_time(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node[1-2]", "--pick", "2", "-c", "exit $CLBALANCE_NODEID")
    assert done.rc == 1
    heading, *copies = done.stderr.splitlines()[1:]
    assert heading.split() == ["NODE", "STATE", "CODE", "TIME"]
    assert [copy.split()[:3] for copy in copies] == [["node1", "COMPLETED", "0"], ["node2", "FAILED", "1"]]


def test_the_summary_begins_on_a_line_of_its_own_where_the_output_ended_without_one(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("run", "-w", "node1", "--", "printf", "no newline")
    assert terminal.end() == 0
    assert [line.split()[0] for line in terminal.lines[-3:]] == ["no", "NODE", "node1"]
    done = clbalance("run", "-w", "node1", "-c", "printf 'no newline' >&2")
    assert [line.split()[0] for line in done.stderr.splitlines()[-3:]] == ["no", "NODE", "node1"]


def test_the_summary_begins_on_a_line_of_its_own_also_in_a_file_that_both_outputs_go_to(
    clbalance: Command, folder: Path
) -> None:
    with (folder / "both").open("wb") as both:
        argv = [*ARGV, "run", "-w", "node1", "--", "printf", "no newline"]
        subprocess.run(argv, stdout=both, stderr=both, env=dict(clbalance.env), cwd=folder, timeout=60, check=True)
    text = (folder / "both").read_text()
    assert "\nno newline\nNODE " in text
    assert "\n\n" not in text


def test_a_prompt_of_several_nodes_is_shown_before_its_line_ends(clbalance: Command, folder: Path) -> None:
    asks = "printf 'Go on? '; until [ -e go ]; do sleep 0.1; done; echo yes"
    terminal = clbalance.on_terminal("run", "-q", "-w", "node[1-2]", "--pick", "2", "-c", asks, env=PLAIN)
    terminal.read_until(b"node1: Go on? ")
    terminal.read_until(b"node2: Go on? ")
    (folder / "go").touch()
    assert terminal.end() == 0
    assert b"yes" in terminal.raw


def test_a_progress_bar_of_a_task_is_shown_before_its_line_ends(clbalance: Command, folder: Path) -> None:
    draws = "printf '\\r10%%'; until [ -e go ]; do sleep 0.1; done; printf '\\r100%%\\n'"
    terminal = clbalance.on_terminal("run", "-w", "node1", "--array", "7", "-c", draws, env=PLAIN)
    terminal.read_until(b"7: 10%")
    (folder / "go").touch()
    assert terminal.end() == 0
    assert "7: 100%" in terminal.lines
