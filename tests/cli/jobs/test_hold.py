"""`hold`, `release`, `update` and `run --begin`: pending jobs that are kept from starting, and let go."""

import json

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, nothing_left
from tests.cli.held_jobs import await_file, detached, held, job, let_go
from tests.cli.run.test_promise import kill_controllers
from tests.waiting import eventually

NOT_PENDING = "only a pending job can be"


def queued(clbalance: Command, *arguments: str) -> str:
    """A job that waits for `rebalance`, though its node has room."""
    detached(clbalance, "--name", "fills", "-w", "node1", "--exclusive", "-c", held())
    number = detached(clbalance, "--queue", "-w", "node1", *arguments)
    let_go(clbalance)
    clbalance("wait", "-q", "fills")
    return number


def started(clbalance: Command) -> list[object]:
    done = clbalance("rebalance", "-w", "node1", "--apply", "--json")
    assert done.rc == 0, done.stderr
    return [one["job"] for one in json.loads(done.text)["started"]]


def test_a_held_job_is_started_only_after_its_release(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = queued(clbalance, "--name", "train", "--", "true")
        done = clbalance("hold", "train")
        assert (done.rc, done.text) == (0, "")
        assert done.stderr == f"clbalance: job {number}: held; `clbalance release {number}` lets it start\n"
        found = job(clbalance, number)
        assert (found["state"], found["reason"]) == ("PENDING", "held by root")
        assert started(clbalance) == []
        assert "held by root" in clbalance("rebalance", "-w", "node1").text
        requeued = clbalance("requeue", number)
        assert (requeued.rc, requeued.stderr.splitlines()) == (
            2,
            [f"clbalance: job {number} is held by root", f"hint: `clbalance release {number}` lets it start"],
        )
        assert f"`clbalance release {number}` lets it start" in clbalance("attach", number).stderr
        assert f"none; `clbalance release {number}` lets it start\n" in clbalance("show", number).text
        assert clbalance("hold", number).stderr == f"clbalance: job {number}: already held by root\n"
        assert clbalance("release", number).rc == 0
        assert clbalance("release", number).stderr == f"clbalance: job {number}: not held\n"
        assert started(clbalance) == [int(number)]


def test_what_is_not_pending_is_not_changed_and_the_others_are(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        over = detached(clbalance, "-w", "node2", "--", "true")
        clbalance("wait", "-q", over)
        runs = detached(clbalance, "-w", "node2", "-c", held(gate="later"))
        waits = queued(clbalance, "--", "true")
        done = clbalance("hold", over, runs, waits)
        assert done.rc == 2
        assert done.stderr.splitlines()[:2] == [
            f"clbalance: job {over} is COMPLETED: {NOT_PENDING} held",
            f"clbalance: job {runs} is RUNNING: {NOT_PENDING} held",
        ]
        assert job(clbalance, waits)["reason"] == "held by root"
        assert clbalance("release", "-q", runs).stderr == f"clbalance: job {runs} is RUNNING: {NOT_PENDING} released\n"
        assert clbalance("update", "--name", "other", runs).rc == 2
        assert job(clbalance, runs)["name"] == "sh"
        let_go(clbalance, "later")
        clbalance("cancel", "-q", waits)
        assert clbalance("release", waits).stderr == f"clbalance: job {waits} is CANCELLED: {NOT_PENDING} released\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hold",), "no job named"),
        (("release", "17"), "there is no job 17"),
        (("update", "--name", "last", "1"), "it means the job that was submitted last"),
        (("update", "--priority", "nan", "1"), "`--priority` cannot be nan"),
        (("update", "--time-limit", "0", "1"), "`--time-limit` cannot be '0'"),
        (("update", "1"), "nothing to change"),
        (("run", "--begin", "soon", "-w", "node1", "--", "true"), "`--begin` cannot be 'soon'"),
        (("run", "--pty", "--begin", "2h", "-w", "node1", "--", "true"), "`--pty` and `--begin` exclude each other"),
        (("run", "--resume", "1", "--begin", "2h"), "`--resume` runs what was submitted, as it was"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_end_with_2_and_say_what_is_wrong(clbalance: Command, words: tuple[str, ...], message: str) -> None:
    done = clbalance(*words)
    assert done.rc == 2
    assert message in done.stderr


def test_an_update_counts_when_the_job_starts(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = queued(clbalance, "--time-limit", "1h", "-c", "echo $CLBALANCE_JOB_NAME > told; exec sleep 100")
        done = clbalance("update", number, "--name", "short", "--priority", "2.5", "--time-limit", "1s")
        assert done.stderr == f"clbalance: job {number}: name short, priority 2.5, time limit 1s\n"
        assert (job(clbalance, "short")["priority"], job(clbalance, "short")["id"]) == (2.5, int(number))
        assert started(clbalance) == [int(number)]
        assert clbalance("wait", "-q", "short").rc == 124
        assert await_file(clbalance.folder / "told") == "short\n"


def test_a_detached_controller_keeps_a_job_until_its_time(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", "--detach", "--begin", "2s", "-w", "node1", "-c", "echo begun > told")
        assert done.rc == 0
        number = done.text.strip()
        assert done.stderr.startswith(f"clbalance: job {number} waits: not before 2")
        assert job(clbalance, number)["reason"].startswith("not before 2")
        assert clbalance("wait", "-q", number).rc == 0
        assert await_file(clbalance.folder / "told") == "begun\n"


def test_a_hold_survives_the_controller_of_the_job(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "--begin", "1s", "-w", "node1", "-c", "echo x >> told")
        assert clbalance("hold", "-q", number).rc == 0
        kill_controllers(clbalance)
        assert job(clbalance, number)["reason"] == "held by root"
        assert started(clbalance) == []
        assert clbalance("release", number).rc == 0
        eventually(lambda: started(clbalance) == [int(number)])
        assert clbalance("wait", "-q", number).rc == 0
        assert (clbalance.folder / "told").read_text() == "x\n"


def test_a_queued_job_waits_for_its_time_and_requeue_starts_it_at_once(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", "--detach", "--queue", "--begin", "2h", "-w", "node1", "--", "true")
        number = done.text.strip()
        assert (done.rc, done.stderr.startswith(f"clbalance: job {number} waits: not before 2")) == (0, True)
        assert started(clbalance) == []
        assert job(clbalance, number)["reason"].startswith("not before 2")
        assert clbalance("requeue", "-q", number).rc == 0


def test_here_run_waits_itself(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", "--begin", "1s", "-w", "node1", "--", "echo", "begun")
        assert (done.rc, done.text) == (0, "begun\n")
        assert done.stderr.startswith("clbalance: waiting: not before 2")


def test_whether_a_job_has_started_that_a_silent_node_hides_is_not_guessed(lab: Lab, clbalance: Command) -> None:
    killed = clbalance("run", "--detach", "--queue", "-w", "node3", "--", "true", env={"CLBALANCE_FAIL_AT": "intended"})
    assert killed.rc < 0
    lab.node("node3").kill()
    done = clbalance("hold", "last", "-t", "1s", "-u", "1s")
    assert (done.rc, done.text) == (4, "")
    assert done.stderr.startswith("clbalance: job 1 may have been started (node3: ")
