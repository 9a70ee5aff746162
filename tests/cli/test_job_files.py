"""Files that a job names for its output are written whoever watches, and nothing is lost on the way."""

import json
import os
import signal
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.waiting import eventually

from .command import Command, ended
from .held_jobs import SOON, await_file, detached, held, job, let_go

UNATTENDED = ("--queue", "-w", "node1")
"""A detached job without a controller: its files are written by later commands."""
LARGE = 3 << 20
"""More than a node keeps of a job whose end was seen."""
PRINT_LARGE = f"head -c {LARGE} /dev/zero | tr '\\0' x; echo"


def files_of(command: Command, number: str) -> dict[str, object]:
    found = job(command, number)["output"]
    assert isinstance(found, dict)
    return found


# -- detached ------------------------------------------------------------------------------------


def test_a_detached_jobs_files_are_there_after_the_next_command(clbalance: Command, folder: Path) -> None:
    number = detached(clbalance, "-w", "node1", "--output", "out-%j", "--error", "err", "-c", "echo one; echo two >&2")
    clbalance("wait", number)
    assert (folder / f"out-{number}").read_text() == "one\n"
    assert (folder / "err").read_text() == "two\n"
    assert files_of(clbalance, number) == {
        "stdout": f"{folder}/out-%j",
        "stderr": f"{folder}/err",
        "complete": True,
        "state": "complete",
        "reason": None,
    }


@pytest.mark.parametrize(
    "verb", [("jobs",), ("logs", "last"), ("attach", "last"), ("cancel", "last")], ids=lambda v: v[0]
)
def test_any_verb_that_looks_after_jobs_completes_them(
    lab: Lab, clbalance: Command, folder: Path, verb: tuple[str, ...]
) -> None:
    detached(clbalance, *UNATTENDED, "--output", "out", "-c", f"echo up; touch ran; {held('echo done')}")
    await_file_of(folder / "ran")
    assert not (folder / "out").exists()
    let_go(clbalance)
    eventually(lambda: not lab.node("node1").processes()[2:])  # it is over, and nobody here has asked
    clbalance(*verb)
    assert (folder / "out").read_text() == "up\ndone\n"


def test_a_run_keeps_its_code_though_the_files_of_others_cannot_be_seen_to(clbalance: Command, folder: Path) -> None:
    detached(clbalance, *UNATTENDED, "--output", "out", "-c", "echo done; touch ran")
    await_file_of(folder / "ran")
    (database,) = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db")
    (database.parent / "output.lock").unlink(missing_ok=True)
    (database.parent / "output.lock").mkdir()
    done = clbalance("run", "-w", "node1", "-c", "exit 7")
    assert (done.rc, "output.lock" in done.stderr) == (7, True)


def await_file_of(path: Path) -> None:
    eventually(path.exists)


def test_they_are_found_from_another_folder(clbalance: Command, folder: Path, tmp_path: Path) -> None:
    number = detached(clbalance, "-w", "node1", "--output", "out", "-c", "echo here")
    clbalance("wait", number, cwd=tmp_path)
    assert (folder / "out").read_text() == "here\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [(), ("--retry", "1"), ("--notify", "true"), ("--queue-for", "1m"), ("--requeue",)],
    ids=lambda options: options[0] if options else "plain",
)
def test_the_controller_of_a_detached_job_writes_them(
    clbalance: Command, folder: Path, options: tuple[str, ...]
) -> None:
    detached(clbalance, "-w", "node1", *options, "--output", "out", "-c", "echo one; echo two >&2")
    eventually(lambda: (folder / "out").exists() and len((folder / "out").read_text()) == len("one\ntwo\n"))
    assert sorted((folder / "out").read_text().split()) == ["one", "two"], "nobody has typed a command since"


def test_a_retry_has_a_file_of_its_own_by_its_attempt(clbalance: Command, folder: Path) -> None:
    number = detached(
        clbalance, "-w", "node[1-2]", "--retry", "1", "--output", "out-%a", "-c",
        'echo "$CLBALANCE_RESTART_COUNT"; [ "$CLBALANCE_RESTART_COUNT" = 1 ]',
    )  # fmt: skip
    assert clbalance("wait", number).rc == 0
    assert [(folder / name).read_text() for name in ("out-1", "out-2")] == ["0\n", "1\n"]


def test_a_script_names_them_for_itself(clbalance: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("#!/bin/sh\n#CLB --output from-script\necho said\n")
    number = detached(clbalance, "-w", "node1", "job.sh")
    clbalance("wait", number)
    assert (folder / "from-script").read_text() == "said\n"


def test_a_queued_job_has_its_files_too(clbalance: Command, folder: Path) -> None:
    clbalance("drain", "node1", "--reason", "busy")
    number = detached(clbalance, "-w", "node1", "--queue", "--output", "out", "-c", "echo late")
    assert files_of(clbalance, number)["complete"] is False
    clbalance("resume", "node1")
    clbalance("rebalance", "-w", "node1", "--apply")
    clbalance("wait", number)
    assert (folder / "out").read_text() == "late\n"


def test_copies_that_share_a_file_share_it_by_whole_lines(clbalance: Command, folder: Path) -> None:
    number = detached(
        clbalance, "-w", "node[1-3]", "--pick", "3", "--output", "all", "-c", 'echo "$CLBALANCE_NODEID"; printf half'
    )
    clbalance("wait", number)
    assert sorted((folder / "all").read_text().splitlines()) == ["0", "1", "2", "half", "half", "half"]


def test_large_output_comes_whole(clbalance: Command, folder: Path) -> None:
    number = detached(clbalance, "-w", "node1", "--output", "out", "-c", PRINT_LARGE)
    clbalance("wait", number)
    assert (folder / "out").stat().st_size == LARGE + 1


# -- tasks ---------------------------------------------------------------------------------------


def test_detached_tasks_have_their_files(clbalance: Command, folder: Path) -> None:
    number = detached(
        clbalance, "-w", "node[1-2]", "--array", "1-5", "--output", "out-%t", "-c", 'echo "task $CLBALANCE_TASK_ID"'
    )
    clbalance("wait", number)
    assert [(folder / f"out-{one}").read_text() for one in range(1, 6)] == [f"task {one}\n" for one in range(1, 6)]
    assert files_of(clbalance, number)["complete"] is True


def test_what_a_dead_controller_did_not_write_of_tasks_is_completed(lab: Lab, clbalance: Command, folder: Path) -> None:
    child = clbalance.start(
        "run", "-w", "node1", "--array", "1-2%1", "--output", "out-%t", "-c",
        'echo "begin $CLBALANCE_TASK_ID"; touch ran; ' + held("echo end"),
    )  # fmt: skip
    await_file_of(folder / "ran")
    child.kill()
    child.wait()
    let_go(clbalance)
    clbalance("wait", "last")
    assert (folder / "out-1").read_text() == "begin 1\nend\n"


def test_resume_writes_the_files_of_what_runs_again_and_no_others(clbalance: Command, folder: Path) -> None:
    command = 'echo "$CLBALANCE_TASK_ID"; [ "$CLBALANCE_TASK_ID" != 2 ] || [ -e go ]'
    clbalance("run", "-w", "node1", "--array", "1-3", "--output", "out-%t", "-c", command)
    (folder / "out-1").write_text("mine\n")
    (folder / "out-2").write_text("of the failed attempt\n")
    let_go(clbalance)
    done = clbalance("run", "--resume", "last")
    assert (done.rc, done.stdout) == (0, b"")
    assert [(folder / f"out-{one}").read_text() for one in (1, 2, 3)] == ["mine\n", "2\n", "3\n"]


def test_resume_adds_to_a_file_that_tasks_share(clbalance: Command, folder: Path) -> None:
    command = 'echo "$CLBALANCE_TASK_ID"; [ "$CLBALANCE_TASK_ID" != 2 ] || [ -e go ]'
    clbalance("run", "-w", "node1", "--array", "1-3", "--output", "all", "-c", command)
    let_go(clbalance)
    clbalance("run", "--resume", "last")
    assert sorted((folder / "all").read_text().split()) == ["1", "2", "2", "3"]


# -- who was watching has gone -------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_gone_leaves_no_file_cut_off(clbalance: Command, folder: Path, number: signal.Signals) -> None:
    child = clbalance.start("run", "-w", "node1", "--output", "out", "-c", f"echo up; {held('echo done')}")
    assert await_file(folder / "out") == "up\n", "it is written while the job runs"
    child.send_signal(number)
    ended(child)
    let_go(clbalance)
    clbalance("wait", "last")
    assert (folder / "out").read_text() == "up\ndone\n"
    assert files_of(clbalance, "last")["complete"] is True


def test_what_a_stopped_run_has_not_read_is_in_the_file_afterwards(clbalance: Command, folder: Path) -> None:
    text = f"trap '{PRINT_LARGE.replace(chr(39), chr(34))}; exit 1' TERM; echo up; while :; do sleep 0.05; done"
    child = clbalance.start("run", "-w", "node1", "--output", "out", "--error", "err", "-c", text)
    await_file(folder / "out")
    child.send_signal(signal.SIGINT)
    ended(child)
    clbalance("jobs", "--ended")
    assert (folder / "out").stat().st_size == len("up\n") + LARGE + 1


def test_a_node_that_was_away_is_asked_again(lab: Lab, clbalance: Command, folder: Path) -> None:
    number = detached(clbalance, *UNATTENDED, "--output", "out", "-c", f"echo up; {held('echo done')}")
    let_go(clbalance)
    clbalance("wait", number, env={"CLBALANCE_FAIL_AT": "ended"})
    lab.node("node1").hang()
    clbalance("jobs", "--ended", *SOON)
    assert not (folder / "out").exists()
    lab.node("node1").thaw()
    clbalance("wait", number)
    assert (folder / "out").read_text() == "up\ndone\n"


def test_reap_leaves_what_a_file_still_needs(clbalance: Command, folder: Path) -> None:
    blocked = folder / "closed"
    blocked.mkdir()
    number = detached(clbalance, *UNATTENDED, "--output", "closed/out", "-c", PRINT_LARGE)
    blocked.rmdir()
    message = clbalance("wait", number).stderr
    assert f"the output files of job {number} are not complete: cannot write" in message
    assert files_of(clbalance, number)["complete"] is False
    clbalance("reap", "node1", "--keep", "0s", "--apply")
    blocked.mkdir()
    clbalance("jobs")
    assert (blocked / "out").stat().st_size == LARGE + 1
    assert files_of(clbalance, number)["complete"] is True


def test_a_file_that_cannot_be_written_stops_no_job_that_nobody_watches(clbalance: Command, folder: Path) -> None:
    number = detached(clbalance, "-w", "node1", "--retry", "1", "--output", "/dev/full", "-c", "echo x; touch ran")
    assert clbalance("wait", number).rc == 0
    assert (folder / "ran").exists()
    assert files_of(clbalance, number)["complete"] is False


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/dev/tty", "/dev/full"])
def test_what_only_this_process_can_write_to_is_refused_for_a_detached_job(clbalance: Command, name: str) -> None:
    done = clbalance("run", "--detach", *UNATTENDED, "--output", name, "--", "true")
    assert (done.rc, done.stdout) == (2, b"")
    assert "hint: " in done.stderr


def test_a_detached_jobs_output_may_be_thrown_away(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "--output", "/dev/null", "-c", "echo x")
    assert clbalance("wait", number).stderr.count("warning") == 0


def test_output_that_was_taken_away_is_told_and_the_file_stays(clbalance: Command, folder: Path) -> None:
    (folder / "out").write_text("old\n")
    number = detached(clbalance, *UNATTENDED, "--output", "out", "-c", 'rm "$CLBALANCE_JOB_DIR"/stdout; echo x')
    message = clbalance("wait", number).stderr
    assert "its stdout was removed" in message
    assert (folder / "out").read_text() == "old\n"


# -- what is there already -----------------------------------------------------------------------


def test_requeue_replaces_the_file_of_the_failed_attempt(clbalance: Command, folder: Path) -> None:
    text = 'echo "$CLBALANCE_RESTART_COUNT"; [ -e go ]'
    assert clbalance("run", "-w", "node1", "--output", "out", "-c", text).rc == 1
    let_go(clbalance)
    done = clbalance("requeue", "last")
    assert (done.rc, done.stdout) == (0, b"")
    assert (folder / "out").read_text() == "1\n"


@pytest.mark.parametrize("how", [(), ("--detach",)], ids=["watched", "detached"])
def test_a_job_that_does_not_start_leaves_the_file_as_it_is(
    clbalance: Command, folder: Path, how: tuple[str, ...]
) -> None:
    (folder / "out").write_text("of yesterday\n")
    clbalance("run", *how, "-w", "node1", "--output", "out", "--", "no-such-program")
    clbalance("jobs", "--ended")
    assert (folder / "out").read_text() == "of yesterday\n"


def test_a_job_that_runs_leaves_it_until_there_is_something_to_write(clbalance: Command, folder: Path) -> None:
    (folder / "out").write_text("of yesterday\n")
    child = clbalance.start("run", "-w", "node1", "--output", "out", "-c", f"touch ran; {held('true')}")
    await_file_of(folder / "ran")
    assert (folder / "out").read_text() == "of yesterday\n"
    let_go(clbalance)
    assert ended(child) == 0
    assert (folder / "out").read_text() == ""


@pytest.mark.parametrize("option", ["--output", "--error"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("job.sh", ("job.sh",)),
        ("./job.sh", ("job.sh",)),
        ("job%j", ("job1",)),
        ("link", ("job.sh",)),
        ("list", ("--tasks", "list")),
        ("in", ("--stdin", "in", "-c", "cat")),
    ],
    ids=["script", "another-spelling", "by-its-number", "by-a-link", "tasks", "stdin"],
)
def test_a_file_that_the_job_reads_is_never_its_output(
    clbalance: Command, folder: Path, option: str, name: str, arguments: tuple[str, ...]
) -> None:
    for each in ("job.sh", "job1", "list", "in"):
        (folder / each).write_text("echo x\n")
    os.link(folder / "job.sh", folder / "link")
    done = clbalance("run", "-w", "node1", option, name, *arguments)
    assert (done.rc, done.stdout) == (2, b"")
    assert "would overwrite" in done.stderr
    assert "hint: another name" in done.stderr
    assert [(folder / each).read_text() for each in ("job.sh", "job1", "list", "in")] == ["echo x\n"] * 4
    assert json.loads(clbalance("jobs", "--ended", "--json").text)["jobs"] == [], "it has used no number"
