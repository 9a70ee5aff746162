"""What `clbalance run` is given to run: a script, an argv, a text; and that exactly this is what runs."""

import os
import signal
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, local_ssh
from tests.waiting import eventually

ON = ("-q", "-w", "node1")
SHOW_ARGUMENTS = 'for a; do printf "<%s>" "$a"; done'
NASTY = ("", "two words", "it's", '"', "$HOME `id` $(id)", "line\nbreak", "--", "-w", "%h", "\\", "*", "é", "a;b&c|d")


def script(folder: Path, text: str, name: str = "job.sh") -> str:
    (folder / name).write_text(text)
    return name


def test_a_script_runs_by_its_first_line(clbalance: Command, folder: Path) -> None:
    name = script(folder, "#!/usr/bin/env python3\nimport sys; print(sys.version_info[0], sys.argv[1:])\n")
    done = clbalance("run", *ON, name, "a", "b c")
    assert (done.rc, done.text, done.stderr) == (0, "3 ['a', 'b c']\n", "")


def test_a_script_without_a_first_line_runs_by_sh(clbalance: Command, folder: Path) -> None:
    name = script(folder, "readlink /proc/$$/exe; echo $#\n")
    assert clbalance("run", *ON, name, "x").text == f"{os.path.realpath('/bin/sh')}\n1\n"


def test_options_after_the_script_are_its_own(clbalance: Command, folder: Path) -> None:
    name = script(folder, f"#!/bin/sh\n{SHOW_ARGUMENTS}\n")
    done = clbalance("run", *ON, name, "--pick", "9", "-w", "nowhere", "--help", "--", "-x")
    assert done.text == "<--pick><9><-w><nowhere><--help><--><-x>"


def test_a_dash_reads_the_script_from_stdin(clbalance: Command) -> None:
    done = clbalance("run", *ON, "-", "one", stdin=b"#!/bin/sh\necho got $1; cat\n")
    assert (done.rc, done.text) == (0, "got one\n")


def test_a_text_runs_by_sh_with_arguments_of_its_own(clbalance: Command) -> None:
    assert clbalance("run", *ON, "-c", "echo $1-$2; exit 3", "a", "b").text == "a-b\n"
    assert clbalance("run", *ON, "-c", "echo a; exit 3").rc == 3


def test_an_argv_is_executed_exactly(clbalance: Command) -> None:
    done = clbalance("run", *ON, "--", "sh", "-c", SHOW_ARGUMENTS, "sh", *NASTY)
    assert done.text == "".join(f"<{word}>" for word in NASTY)
    raw = os.fsdecode(b"caf\xe9")
    assert clbalance("run", *ON, "--", "printf", "%s", raw).stdout == b"caf\xe9"


def test_a_script_in_a_folder_with_an_odd_name_runs(clbalance: Command, folder: Path) -> None:
    odd = folder / "a b'$(id)%n\n"
    odd.mkdir()
    (odd / "-job.sh").write_text("pwd\n")
    done = clbalance("run", *ON, "./-job.sh", cwd=odd)
    assert (done.rc, done.text) == (0, f"{odd}\n")


def test_the_content_is_taken_at_submit(lab: Lab, clbalance: Command, folder: Path) -> None:
    """The node hangs until the script has been changed and removed."""
    name = script(folder, "echo as submitted\n")
    lab.node("node1").hang()
    child = clbalance.start("run", *ON, name)
    eventually(lambda: local_ssh(lab))
    (folder / name).write_text("echo changed\n")
    (folder / name).unlink()
    lab.node("node1").thaw()
    out, _ = child.communicate()
    assert out == b"as submitted\n"


def test_a_script_of_two_megabytes_arrives(clbalance: Command, folder: Path) -> None:
    name = script(folder, "#" * (2 << 20) + "\nwc -c <$0\n")
    assert clbalance("run", *ON, name).text.strip() == str((folder / name).stat().st_size)


def test_nothing_of_the_job_is_on_a_command_line(lab: Lab, clbalance: Command, folder: Path) -> None:
    """Neither here nor on the node, beside the job itself: command lines are for everyone to read."""
    name = script(folder, "#!/bin/sh\nsleep 300\n# s3cret-text\n")
    child = clbalance.start("run", *ON, "--env", "TOKEN=s3cret-env", name)
    node = lab.node("node1")

    def sleeps() -> list[int]:
        return [pid for pid in node.processes() if b"sleep\x0030" in _cmdline(pid)]

    eventually(sleeps)
    others = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != child.pid]
    assert [line for pid in others if b"s3cret" in (line := _cmdline(pid))] == []
    child.send_signal(signal.SIGINT)
    child.communicate()


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("words", "rc", "said"),
    [
        (("--", "no-such-command-at-all"), 127, "no-such-command-at-all: command not found"),
        (("--", "/etc/passwd"), 126, "/etc/passwd: Permission denied"),
        (("--", "/tmp"), 126, "/tmp: Is a directory"),
        (("script",), 127, "bad interpreter /no/such/interpreter"),
    ],
)
def test_what_cannot_be_executed_is_126_or_127_as_in_a_shell(
    clbalance: Command, folder: Path, words: tuple[str, ...], rc: int, said: str
) -> None:
    script(folder, "#!/no/such/interpreter\n", "script")
    done = clbalance("run", "-w", "node1", *words)
    assert (done.rc, done.stdout) == (rc, b"")
    assert said in done.stderr
