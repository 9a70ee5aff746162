"""Standard input on its way to the job."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from clbalance.cli.run.job_input import MOST_KEPT_BYTES, copied_input
from clbalance.errors import UsageError
from clbalance.lab.cluster import Lab
from clbalance.model.job import NoInput
from tests.cli.command import ARGV, TIMEOUT_S, Command
from tests.cli.held_jobs import job
from tests.waiting import eventually

ON = ("-q", "-w", "node1")
PASSED_ON = "not passed on"
CLBALANCE = shlex.join(ARGV)


@pytest.fixture
def shell(clbalance: Command) -> Callable[[str, bytes], "subprocess.CompletedProcess[bytes]"]:
    """bash in the folder of the call, with that on its standard input."""

    def run(text: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        env, folder = dict(clbalance.env), clbalance.folder
        words = ["bash", "-c", f"{text}\ntrue"]
        return subprocess.run(words, input=stdin, capture_output=True, env=env, cwd=folder, timeout=TIMEOUT_S)  # noqa: PLW1510

    return run


def open_input(clbalance: Command, *words: str) -> "subprocess.Popen[bytes]":
    """`run` with a pipe as its standard input that stays open."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([*ARGV, *words], env=dict(clbalance.env), cwd=clbalance.folder, **pipes)  # type: ignore[call-overload]

    def end() -> None:
        child.kill()
        with suppress(BrokenPipeError):
            child.communicate()

    clbalance.opened.callback(end)
    return child  # type: ignore[no-any-return]


# One copy in the foreground: passed on as it comes.


def test_what_is_piped_to_it_reaches_the_job(clbalance: Command) -> None:
    assert clbalance("run", *ON, "--", "wc", "-l", stdin=b"a\nb\n").text == "2\n"


def test_any_bytes_arrive_unchanged(clbalance: Command) -> None:
    content = os.urandom(3_000_000)
    assert clbalance("run", *ON, "--", "cat", stdin=content).stdout == content


def test_input_that_never_ends_delays_neither_start_nor_end(clbalance: Command) -> None:
    child = open_input(clbalance, "run", *ON, "-c", "exit 7")
    assert child.wait() == 7
    endless = f"yes | {CLBALANCE} run -q -w node1 -- head -1; echo ${{PIPESTATUS[1]}}"
    env, folder = dict(clbalance.env), clbalance.folder
    done = subprocess.run(["bash", "-c", endless], env=env, cwd=folder, stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout == b"y\n0\n"


def test_it_arrives_while_the_job_runs(clbalance: Command) -> None:
    child = open_input(clbalance, "run", *ON, "-c", "read line; echo got $line; read line; echo got $line")
    assert child.stdin is not None
    assert child.stdout is not None
    for word in (b"one", b"two"):
        child.stdin.write(word + b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"got " + word + b"\n"
    assert child.wait() == 0


def test_a_loop_keeps_its_lines_and_is_told_so(shell: Callable[..., "subprocess.CompletedProcess[bytes]"]) -> None:
    done = shell(f"while read x; do {CLBALANCE} run -w node1 -- cat; echo $x; done", b"a\nb\n")
    assert done.stdout == b"a\nb\n"
    assert done.stderr.decode().count(PASSED_ON) == 1  # the last call finds it at its end
    assert b"`--stdin -`" in done.stderr


def test_stdin_dash_takes_what_others_read_too(shell: Callable[..., "subprocess.CompletedProcess[bytes]"]) -> None:
    done = shell(f"read x; {CLBALANCE} run -q -w node1 --stdin - -- cat; echo $x", b"a\nb\nc\n")
    assert done.stdout == b"b\nc\na\n"


def test_input_that_cannot_be_read_ends_the_job_in_words(
    shell: Callable[..., "subprocess.CompletedProcess[bytes]"], folder: Path
) -> None:
    (folder / "written").write_text("not open for reading")
    done = shell(f"{CLBALANCE} run -w node1 --stdin - -c 'cat; touch saw_end' 0>> written")
    assert b"its standard input broke off: Bad file descriptor" in done.stderr
    assert not (folder / "saw_end").exists()


def test_a_terminal_is_never_read(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("run", "-q", "-w", "node1", "--", "wc", "-c")
    terminal.type(b"typed\n")
    assert terminal.end() == 0
    assert "0" in terminal.lines
    done = clbalance.on_terminal("run", "--stdin", "-", "--", "cat")
    assert done.end() == 2
    assert "`--pty`" in " ".join(done.lines)


@pytest.mark.parametrize("words", [["--stdin", "-", "-"], ["--stdin", "-", "--tasks", "-"]])
def test_standard_input_is_read_for_one_thing(clbalance: Command, words: list[str]) -> None:
    done = clbalance("run", *ON, *words, stdin=b"true\n")
    assert (done.rc, done.stdout) == (2, b"")
    assert "standard input is read for the" in done.stderr


def test_a_job_with_input_that_breaks_off_is_ended(clbalance: Command, folder: Path) -> None:
    child = open_input(clbalance, "run", "-w", "node1", "-c", "cat > part; touch saw_end")
    assert child.stdin is not None
    child.stdin.write(b"a part")
    child.stdin.flush()
    eventually(lambda: (folder / "part").exists() and (folder / "part").read_bytes() == b"a part")
    child.send_signal(signal.SIGKILL)
    child.wait()
    eventually(lambda: "its standard input broke off" in clbalance("jobs", "--ended").text)
    assert not (folder / "saw_end").exists()


def test_a_lost_connection_ends_it_in_words(clbalance: Command, lab: Lab, folder: Path) -> None:
    child = open_input(clbalance, "run", "-w", "node1", "-c", "cat > part; touch saw_end")
    assert child.stdin is not None
    child.stdin.write(b"a part")
    child.stdin.flush()
    eventually(lambda: (folder / "part").exists() and (folder / "part").read_bytes() == b"a part")
    for pid in ssh_of(child.pid):
        os.kill(pid, signal.SIGKILL)
    _, stderr = child.communicate()
    assert child.returncode != 0
    assert b"its standard input broke off" in stderr
    assert not (folder / "saw_end").exists()


def ssh_of(pid: int) -> Sequence[int]:
    """The ssh processes that `pid` has started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for file in children for one in file.read_text().split()]


@pytest.mark.parametrize("complete", [False, True])
def test_a_hangup_leaves_a_job_running_that_has_all_of_its_input(
    clbalance: Command, folder: Path, complete: bool
) -> None:
    text = "cat > part; echo whole; until [ -e go ]; do sleep 0.1; done"
    child = open_input(clbalance, "run", "-w", "node1", "-c", text)
    assert child.stdin is not None
    child.stdin.write(b"abc" if complete else b"ab")
    child.stdin.flush()
    if complete:
        child.stdin.close()
        child.stdin = None
    if complete:
        assert child.stdout is not None
        assert child.stdout.readline() == b"whole\n"  # so `run` knows that all of it was taken
    else:
        eventually(lambda: (folder / "part").exists() and (folder / "part").read_bytes() == b"ab")
    child.send_signal(signal.SIGHUP)
    child.communicate()
    (folder / "go").touch()
    state = "COMPLETED" if complete else "CANCELLED"
    eventually(lambda: state in clbalance("jobs", "--ended").text)


def test_what_was_passed_on_is_not_kept(clbalance: Command) -> None:
    clbalance("run", *ON, "--", "cat", stdin=b"once")
    done = clbalance("requeue", "last")
    assert done.rc == 2
    assert "no copy of it was kept" in done.stderr


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_a_job_whose_input_is_not_kept_keeps_its_end(clbalance: Command, more: list[str]) -> None:
    attended = ("--output", "out", "--notify", "echo x >> told")
    assert clbalance("run", *ON, *attended, "-c", "cat; exit 3", stdin=b"once").rc == 3
    done = clbalance("requeue", "last", *more)
    assert (done.rc, done.text) == (2, "")
    assert "no copy of it was kept" in done.stderr
    found = job(clbalance, "1")
    assert (found["state"], found["rc"], found["attempt"]) == ("FAILED", 3, 1)
    assert (clbalance.folder / "told").read_text() == "x\n", "not once more"


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_a_job_of_tasks_whose_input_is_gone_keeps_its_end(clbalance: Command, more: list[str]) -> None:
    (clbalance.folder / "in").write_text("x")
    assert clbalance("run", *ON, "--stdin", "in", "--array", "1-2", "-c", "exit 3").rc == 3
    (clbalance.folder / "in").unlink()
    done = clbalance("requeue", "1", *more)
    assert (done.rc, done.text) == (2, "")
    assert job(clbalance, "1")["state"] == "FAILED"


# More than one reader, or one that outlives us: copied whole.


def test_each_copy_gets_all_of_it(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--", "wc", "-c", stdin=b"123456")
    assert sorted(done.lines) == ["node1: 6", "node2: 6"]


def test_each_task_gets_all_of_it(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node1", "--array", "1-3", "--", "wc", "-c", stdin=b"123456")
    assert sorted(done.lines) == ["1: 6", "2: 6", "3: 6"]


def test_each_attempt_gets_all_of_it(clbalance: Command) -> None:
    text = "cat; [ $CLBALANCE_RESTART_COUNT = 1 ]"
    assert clbalance("run", *ON, "--retry", "1", "-c", text, stdin=b"abc.").text == "abc.abc."


@pytest.mark.parametrize("more", [[], ["--retry", "1"]])
def test_a_detached_job_gets_it_and_keeps_it(clbalance: Command, more: list[str]) -> None:
    number = clbalance("run", *ON, "--detach", *more, "--", "cat", stdin=b"abc").text.strip()
    assert clbalance("wait", number).rc == 0
    assert clbalance("logs", number).text == "abc"
    assert clbalance("requeue", number).stdout == b"abc"


def test_too_much_to_copy_is_refused_before_anything_starts(clbalance: Command) -> None:
    done = clbalance("run", *ON, "--detach", "--", "cat", stdin=bytes(MOST_KEPT_BYTES + 1))
    assert (done.rc, done.stdout) == (2, b"")
    assert "standard input has more than 64 MiB, and is copied whole for `--detach`" in done.stderr
    assert "`--stdin FILE`" in done.stderr


def test_input_that_does_not_end_is_not_copied_for_ever() -> None:
    reader, writer = os.pipe()
    said: list[str] = []
    try:
        os.write(writer, b"a part")
        with pytest.raises(UsageError, match="standard input does not end, and is copied whole for `--detach`"):
            copied_input(reader, "--detach", said.append, end_within_s=0.0)
        assert len(said) == 1
        assert "waiting for the end of standard input" in said[0]
    finally:
        os.close(writer)
    try:
        assert isinstance(copied_input(reader, "--detach", said.append), NoInput)
    finally:
        os.close(reader)
