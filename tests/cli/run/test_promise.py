"""A number on standard output is a promise: the job runs, or waits with a reason, whatever becomes of its controller."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, nothing_left
from tests.cli.held_jobs import await_file, detached, held, job, let_go
from tests.cli.migrations import keepers
from tests.waiting import eventually

TEXT = "echo x >> diary; exit 3"
ATTENDED = [
    ("--retry", "1"),
    ("--requeue",),
    ("--requeue-exit", "85"),
    ("--notify", "true"),
    ("--output", "out"),
    ("--array", "0-2"),
]
WAITING = [("--queue-for", "1h"), ("--queue",), ("--array", "0-2", "--queue-for", "1h")]


def diary(clbalance: Command) -> list[str]:
    path = clbalance.folder / "diary"
    return path.read_text().splitlines() if path.exists() else []


def full(clbalance: Command, node: str = "node1") -> None:
    detached(clbalance, "-w", node, "--exclusive", "-c", held())


def make_room(clbalance: Command) -> None:
    let_go(clbalance)
    clbalance("wait", "1")


def kill_controllers(clbalance: Command, number: int = signal.SIGKILL) -> None:
    for pid in keepers(clbalance):
        with contextlib.suppress(ProcessLookupError):  # a child of one, which has ended meanwhile
            os.kill(pid, number)
    eventually(lambda: not keepers(clbalance))


# -- before the number


@pytest.mark.parametrize("options", [(), *ATTENDED], ids=lambda options: options[0] if options else "plain")
def test_nothing_fits_is_told_before_a_number_and_uses_up_none(clbalance: Command, options: tuple[str, ...]) -> None:
    full(clbalance)
    done = clbalance("run", "--detach", *options, "-w", "node1", "-c", TEXT)
    assert (done.rc, done.text) == (125, "")
    assert "0/1 nodes fit: 1 allocated whole" in done.stderr
    assert "allocated whole" in clbalance("explain", "last").text
    assert clbalance("pick", "--pick", "all", "-w", "@clb:notstarted").stderr.count("allocated whole") == 1
    let_go(clbalance)
    clbalance("wait", "1")
    assert detached(clbalance, "-w", "node1", "--", "true") == "2"
    assert "allocated whole" not in clbalance("explain", "last").text


@pytest.mark.parametrize("options", [("--retry", "1"), ("--array", "1-2")], ids=lambda options: options[0])
def test_why_a_detached_requeue_was_refused_can_be_explained(clbalance: Command, options: tuple[str, ...]) -> None:
    assert clbalance("run", *options, "-w", "node1", "--", "false").rc == 1
    full(clbalance)
    assert clbalance("requeue", "--detach", "1").rc == 125
    assert "allocated whole" in clbalance("explain", "last").text


@pytest.mark.parametrize("options", WAITING, ids=" ".join)
def test_who_asks_to_wait_is_accepted(clbalance: Command, options: tuple[str, ...]) -> None:
    full(clbalance)
    number = detached(clbalance, *options, "-w", "node1", "-c", TEXT)
    eventually(lambda: job(clbalance, number)["reason"] == "0/1 nodes fit: 1 allocated whole")
    assert f"\n{number} " in clbalance("jobs").text
    make_room(clbalance)
    assert clbalance("wait", number).rc == 3


# -- after it


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
@pytest.mark.parametrize("starter", ["wait", "rebalance", "requeue", "after"])
def test_what_a_controller_held_that_died_is_queued_and_started(
    lab: Lab, clbalance: Command, starter: str, how: signal.Signals
) -> None:
    with nothing_left(lab):
        full(clbalance)
        number = detached(clbalance, "--queue-for", "1h", "--retry", "1", "-w", "node1", "-c", TEXT)
        eventually(lambda: job(clbalance, number)["reason"] == "0/1 nodes fit: 1 allocated whole")
        kill_controllers(clbalance, how)
        found = job(clbalance, number)
        assert found["state"] == "PENDING"
        assert found["reason"]
        make_room(clbalance)
        match starter:
            case "rebalance":
                clbalance("rebalance", "-w", "node1", "--apply")
            case "requeue":
                assert clbalance("requeue", "--detach", number).text == f"{number}\n"
            case "after":
                detached(clbalance, "--after", number, "-w", "node1", "--", "true")
                eventually(lambda: len(diary(clbalance)) == 2)
        assert clbalance("wait", number).rc == 3
        assert diary(clbalance) == ["x", "x"], "a retry, whoever starts it"


@pytest.mark.parametrize("point", ["submitted", "taken", "reserved", "intended", "ordered"])
def test_a_controller_that_dies_at_any_point_before_the_start_drops_no_job(
    lab: Lab, clbalance: Command, point: str
) -> None:
    """`submitted`: the caller dies before it has told the number; the job is accepted all the same."""
    with nothing_left(lab):
        options = ("run", "-q", "--detach", "--notify", "echo told >> told", "-w", "node1", "-c", TEXT)
        clbalance(*options, env={"CLBALANCE_FAIL_AT": point})
        eventually(lambda: not keepers(clbalance))
        assert clbalance("wait", "1").rc == 3
        assert (diary(clbalance), await_file(clbalance.folder / "told")) == (["x"], "told\n")


def test_tasks_whose_controller_died_before_the_start_are_queued_and_started(clbalance: Command) -> None:
    full(clbalance)
    number = detached(clbalance, "--queue-for", "1h", "--array", "0-2", "-w", "node1", "-c", "echo x >> diary")
    eventually(lambda: job(clbalance, number)["reason"] == "0/1 nodes fit: 1 allocated whole")
    kill_controllers(clbalance)
    assert job(clbalance, number)["state"] == "PENDING"
    make_room(clbalance)
    clbalance("rebalance", "-w", "node1", "--apply")
    assert clbalance("wait", number).rc == 0
    assert diary(clbalance) == ["x"] * 3


@pytest.mark.root
def test_a_controller_that_cannot_begin_says_why(clbalance: Command) -> None:
    full(clbalance)
    options = ("--queue-for", "1h", "-l", "root", "--array", "0-2", "-w", "node1", "-c", "echo x >> diary")
    number = detached(clbalance, *options)
    eventually(lambda: job(clbalance, number)["reason"] == "0/1 nodes fit: 1 allocated whole")
    kill_controllers(clbalance)
    make_room(clbalance)
    clbalance("rebalance", "-l", "bob", "-w", "node1", "--apply")
    eventually(lambda: job(clbalance, number)["reason"] == "the job logs in as root, and cannot start again as bob")
    clbalance("rebalance", "-w", "node1", "--apply")
    assert clbalance("wait", number).rc == 0
    assert diary(clbalance) == ["x"] * 3


def test_a_requeue_that_finds_no_room_leaves_queued_tasks_where_they_are(clbalance: Command) -> None:
    text = "echo $CLBALANCE_TASK_ID >> diary; exit $CLBALANCE_TASK_ID"
    number = detached(clbalance, "--array", "0-1", "-w", "node1", "-c", text)
    assert clbalance("wait", number).rc == 1
    env = {"CLBALANCE_FAIL_AT": "taken"}
    assert clbalance("requeue", "--detach", number, env=env).text == f"{number}\n"
    eventually(lambda: not keepers(clbalance))
    full(clbalance)
    for options, rc, told in ((("--detach",), 0, f"{number}\n"), ((), 125, "")):
        done = clbalance("requeue", *options, number)
        assert (done.rc, done.text) == (rc, told)
        assert f"job {number} waits: 0/1 nodes fit: 1 allocated whole" in done.stderr
        assert job(clbalance, number)["state"] == "PENDING"
    let_go(clbalance)
    assert clbalance("wait", number).rc == 1
    assert diary(clbalance)[2:] == ["1"], "the one that had failed, whoever starts it"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_tasks_whose_controller_died_on_the_way_go_on_with_those_that_never_ran(
    clbalance: Command, how: signal.Signals
) -> None:
    text = f"echo $CLBALANCE_TASK_ID >> diary; {held('[ $CLBALANCE_TASK_ID != 0 ]')}"
    number = detached(clbalance, "--array", "0-4%1", "-w", "node1", "-c", text)
    await_file(clbalance.folder / "diary")
    kill_controllers(clbalance, how)
    let_go(clbalance)
    eventually(lambda: job(clbalance, number)["state"] == "PENDING")
    assert job(clbalance, number)["reason"] == "its controller died; 4 tasks left"
    clbalance("rebalance", "-w", "node1", "--apply")
    assert clbalance("wait", number).rc == 1
    assert diary(clbalance) == ["0", "1", "2", "3", "4"], "each once"


def test_the_limit_of_a_wait_holds_whoever_has_the_job(clbalance: Command) -> None:
    full(clbalance)
    number = detached(clbalance, "--queue-for", "3s", "-w", "node1", "--", "true")
    other = detached(clbalance, "--queue-for", "3s", "--notify", "echo x >> told", "-w", "node1", "--", "true")
    kill_controllers(clbalance)
    for one in (number, other):
        eventually(lambda one=one: job(clbalance, one)["state"] == "CANCELLED")
        assert job(clbalance, one)["reason"].endswith(" for as long as `--queue-for` allows")
    clbalance("jobs", "--ended")
    assert await_file(clbalance.folder / "told") == "x\n", "once, by who has concluded it"


def test_a_controller_waits_for_room_to_start_its_job_again(clbalance: Command) -> None:
    number = detached(clbalance, "--requeue-exit", "85", "-w", "node1", "-c", f"echo x >> diary; {held('exit 85')}")
    await_file(clbalance.folder / "diary")
    clbalance("drain", "node1", "--reason", "memory")
    let_go(clbalance)
    eventually(lambda: str(job(clbalance, number)["reason"]).startswith("0/1 nodes fit: 1 drained"))
    assert keepers(clbalance)
    (clbalance.folder / "go").unlink()
    clbalance("resume", "node1")
    eventually(lambda: len(diary(clbalance)) == 2)
    clbalance("cancel", number)


def test_a_job_that_is_cancelled_while_it_waits_is_not_started(clbalance: Command) -> None:
    full(clbalance)
    number = detached(clbalance, "--queue-for", "1h", "-w", "node1", "-c", TEXT)
    kill_controllers(clbalance)
    clbalance("cancel", number)
    assert job(clbalance, number)["state"] == "CANCELLED"
    make_room(clbalance)
    clbalance("rebalance", "-w", "node1", "--apply")
    assert (clbalance("wait", number).rc, diary(clbalance)) == (125, [])


# -- process lists


def test_nothing_of_a_job_shows_in_the_command_line_of_its_controller(clbalance: Command) -> None:
    words = ("--env", "TOKEN=s3cret", "--notify", "echo s3cret", "--retry", "1", "--name", "train")
    number = detached(clbalance, *words, "-w", "node1", "-c", f": s3cret; {held()}")
    eventually(lambda: job(clbalance, number)["state"] == "RUNNING")
    eventually(lambda: len(keepers(clbalance)) == 1)  # a child that becomes ssh is one for a moment
    (controller,) = keepers(clbalance)
    shown = Path(f"/proc/{controller}/cmdline").read_text().split("\0")
    assert shown[2:4] == ["clbalance.cli.run.controller", number]
    assert shown[-2:] == ["train", ""]
    assert not any("s3cret" in word for word in shown)
    assert b"s3cret" not in Path(f"/proc/{controller}/environ").read_bytes()
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0


# -- a full disk


@pytest.mark.parametrize("left_kib", [0, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512])
@pytest.mark.skipif(os.geteuid() != 0, reason="a file system can only be mounted by root")
def test_a_full_disk_drops_no_job_that_has_a_number(clbalance: Command, tmp_path: Path, left_kib: int) -> None:
    state = tmp_path / "small"
    state.mkdir()
    env = {"CLBALANCE_STATE_DIR": str(state)}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(state)], check=True)
    try:
        clbalance("jobs", env=env)
        free = os.statvfs(state)
        ballast = state / "ballast"
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - (left_kib << 10)))
        done = clbalance("run", "-q", "--detach", "--retry", "1", "-w", "node1", "-c", TEXT, env=env)
        eventually(lambda: not keepers(Command(env={**clbalance.env, **env}, folder=clbalance.folder)))
        ballast.unlink()
        if done.rc == 0:
            assert clbalance("wait", done.text.strip(), env=env).rc == 3
            assert diary(clbalance) == ["x", "x"]
        else:
            assert (done.rc, done.text) == (125, "")
            assert clbalance("rebalance", "-w", "node1", "--apply", env=env).rc == 0
            assert diary(clbalance) == []
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def test_a_hang_up_ends_no_controller(clbalance: Command) -> None:
    number = detached(clbalance, "--retry", "1", "-w", "node1", "-c", held("exit 3"))
    for pid in keepers(clbalance):
        os.kill(pid, signal.SIGHUP)
    let_go(clbalance)
    assert clbalance("wait", number).rc == 3
    assert job(clbalance, number)["attempt"] == 2
