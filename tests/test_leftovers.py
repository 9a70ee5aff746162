"""What a broken run of the tests has left is ended by the next run of the same checkout, and nothing else is."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clbalance.lab import processes
from tests.waiting import eventually

from . import leftovers
from .leftovers import VARIABLE, Run

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*argv: str, **env: str) -> "subprocess.Popen[bytes]":
            child = subprocess.Popen(argv, env={"PATH": os.environ["PATH"], **env}, stdin=subprocess.DEVNULL)
            stack.callback(child.wait)
            stack.callback(child.kill)
            return child

        yield begin


def run_of(child: "subprocess.Popen[bytes]", checkout: Path) -> Run:
    process = processes.identify(child.pid)
    assert process is not None
    return Run(process, str(checkout))


def broken(start: Start, checkout: Path) -> Run:
    """A run whose pytest is over."""
    child = start("sleep", "600")
    run = run_of(child, checkout)
    child.kill()
    child.wait()
    return run


def test_a_broken_runs_processes_are_ended_and_what_they_started_too(start: Start, tmp_path: Path) -> None:
    mark = broken(start, tmp_path).mark
    child = start("sh", "-c", f"env -u {VARIABLE} sleep 600 & echo; wait", **{VARIABLE: mark})
    leftovers.end_leftovers(tmp_path)
    assert child.wait() == -9
    assert [pid for pid in processes.all_pids() if VARIABLE in _environ(pid) and mark in _environ(pid)] == []


def test_a_run_that_is_alive_is_left_alone_and_so_is_another_checkouts(start: Start, tmp_path: Path) -> None:
    alive = run_of(start("sleep", "600"), tmp_path)
    of_another = broken(start, tmp_path / "other")
    children = [start("sleep", "600", **{VARIABLE: run.mark}) for run in (alive, of_another)]
    children.append(start("sleep", "600"))
    leftovers.end_leftovers(tmp_path)
    assert [child.poll() for child in children] == [None, None, None]


def test_a_node_of_a_broken_runs_lab_is_found_by_the_folder_that_it_lies_in(start: Start, tmp_path: Path) -> None:
    broken_lab = tmp_path / "one"
    live_lab = tmp_path / "two"
    for folder, run in ((broken_lab, broken(start, tmp_path)), (live_lab, run_of(start("sleep", "600"), tmp_path))):
        folder.mkdir()
        (folder / ".test-run").write_text(run.mark)
    ended, kept = (
        start("sleep", "600", CLBALANCE_LAB_NODE=str(folder / "lab" / "node1")) for folder in (broken_lab, live_lab)
    )
    leftovers.end_leftovers(tmp_path)
    assert ended.wait() == -9
    assert kept.poll() is None


def test_a_folder_of_labs_goes_with_its_run(start: Start, tmp_path: Path) -> None:
    folders = [leftovers.lab_folder() for _ in range(2)]
    (folders[0] / ".test-run").write_text(broken(start, tmp_path).mark)
    try:
        leftovers.end_leftovers(tmp_path)
        assert [folder.exists() for folder in folders] == [False, True]
    finally:
        folders[1].joinpath(".test-run").unlink()
        folders[1].rmdir()


@pytest.mark.parametrize("text", ["", "1", "1:2", "x:2:/tmp", ":::"])
def test_what_is_no_mark_belongs_to_no_run(text: str) -> None:
    assert Run.parse(text) is None


def test_a_mark_is_read_back(tmp_path: Path) -> None:
    run = Run.of_this_process(tmp_path / "a:b c")
    assert Run.parse(run.mark) == run
    assert not run.is_broken(tmp_path / "a:b c")


def test_what_tests_start_can_be_interrupted_although_the_suites_caller_ignores_that() -> None:
    """As a script does with what it starts by `make test &`."""
    program = (
        "import signal, subprocess, sys; from tests.surroundings import heed_signals; heed_signals();"
        "sys.exit(subprocess.run(['sh', '-c', 'kill -INT $$; exit 3']).returncode != -signal.SIGINT)"
    )
    argv = ["sh", "-c", 'trap "" INT QUIT HUP USR1; exec "$@"', "sh", sys.executable, "-c", program]
    assert subprocess.run(argv, cwd=Path(__file__).parent.parent, timeout=60, check=False).returncode == 0


def _environ(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
    except OSError:
        return ""


def test_who_was_left_in_a_folder_is_ended_and_nobody_else(start: Start, tmp_path: Path) -> None:
    below, beside = tmp_path / "one" / "work", tmp_path / "one-more"
    below.mkdir(parents=True)
    beside.mkdir()
    ended, kept = (start("sh", "-c", f"cd {folder}; exec sleep 600") for folder in (below, beside))
    eventually(lambda: all(_cwd(child) in {below, beside} for child in (ended, kept)))
    leftovers.end_those_in(tmp_path / "one")
    assert ended.wait() == -9
    assert kept.poll() is None


def _cwd(child: "subprocess.Popen[bytes]") -> Path:
    return Path(os.readlink(f"/proc/{child.pid}/cwd"))
