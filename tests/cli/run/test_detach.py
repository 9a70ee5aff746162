"""`run --detach`: a number to ask by later, and nothing else; `attach` and `wait` find the job again."""

import signal

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, nothing_left
from tests.cli.held_jobs import SOON, detached, held, job, let_go
from tests.waiting import SOON_S, eventually

from .test_run_ends import await_output


def test_it_prints_the_number_of_a_job_that_runs_and_returns(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", "--detach", "-w", "node1", "--name", "train", "-c", held())
        assert (done.rc, done.text) == (0, "1\n")
        found = job(clbalance, "1")
        seconds = found.pop("seconds")
        assert 0.0 <= seconds < SOON_S
        wanted = {
            "id": 1, "name": "train", "user": found["user"], "state": "RUNNING", "reason": None, "rc": None,
            "node_set": "node1", "attempt": 1, "qos": "Burstable", "priority": 0.0, "cpu_s": None, "mem_bytes": None,
            "output": None, "ended_at": None, "tasks": None, "max_rss_bytes": None, "command": held(),
        }  # fmt: skip
        assert {key: found[key] for key in wanted} == wanted
        let_go(clbalance)


def test_nothing_that_the_job_prints_is_mixed_with_its_number(clbalance: Command) -> None:
    done = clbalance("run", "--detach", "-q", "-w", "node[1-2]", "--pick", "2", "-c", "echo up; echo oops >&2; exit 3")
    assert (done.rc, done.text, done.stderr) == (0, "1\n", "")
    assert clbalance("wait", "1").rc == 3


def test_a_job_that_cannot_be_started_is_no_success(clbalance: Command) -> None:
    done = clbalance("run", "--detach", "-w", "node1", "--", "no-such-program")
    assert (done.rc, done.text) == (127, "1\n")
    assert "command not found" in done.stderr
    assert job(clbalance, "1")["state"] == "FAILED"


def test_a_number_that_would_not_be_remembered_is_not_given(clbalance: Command) -> None:
    done = clbalance("run", "--detach", "-w", "node1", "--", "true", env={"CLBALANCE_STATE_DIR": "/proc/none"})
    assert (done.rc, done.text) == (125, "")
    assert "hint: " in done.stderr


def test_attach_shows_everything_and_ends_as_the_job_does(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node1", "-c", f"echo up; echo oops >&2; {held('echo done; exit 6')}")
        attached = clbalance.start("attach", number)
        assert await_output(attached) == b"up\n"
        let_go(clbalance)
        out, err = attached.communicate()
    assert (attached.returncode, out) == (6, b"done\n")
    assert b"oops\n" in err
    assert clbalance("attach").rc == 6, "also afterwards"


def test_ctrl_c_in_attach_lets_the_job_go_on(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", f"echo up; {held()}")
    terminal = clbalance.on_terminal("attach")
    terminal.read_until(b"up")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert f"job {number} keeps running; `clbalance cancel {number}` ends it" in terminal.lines[-1]
    assert job(clbalance, number)["state"] == "RUNNING"
    let_go(clbalance)
    assert clbalance("wait").rc == 0


def test_two_may_be_attached_and_see_the_same(clbalance: Command) -> None:
    detached(clbalance, "-w", "node[1-2]", "--pick", "2", "-c", f"echo up; {held('echo $CLBALANCE_NODEID')}")
    watchers = [clbalance.start("attach") for _ in range(2)]
    for watcher in watchers:
        await_output(watcher)
    let_go(clbalance)
    seen = [watcher.communicate()[0] for watcher in watchers]
    assert all(b"node1: 0\n" in out and b"node2: 1\n" in out for out in seen)


def test_wait_for_several_ends_with_the_highest_code(clbalance: Command) -> None:
    for code in (3, 0, 7):
        detached(clbalance, "-w", f"node{code + 1}", "--name", f"j{code}", "-c", held(f"exit {code}"))
    waiting = clbalance.start("wait", "1-2", "j7")
    let_go(clbalance)
    assert ended(waiting) == 7
    assert clbalance("wait", "1-2").rc == 3


def test_wait_for_a_job_that_another_process_has_in_hand(clbalance: Command) -> None:
    runs = clbalance.start("run", "-w", "node1", "-c", f"echo up; {held('exit 4')}")
    await_output(runs)
    waiting = clbalance.start("wait")
    let_go(clbalance)
    assert (ended(waiting), ended(runs)) == (4, 4)


def test_wait_does_not_wait_for_a_node_for_ever(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    lab.node("node1").kill()
    done = clbalance("wait", number, *SOON)
    assert done.rc == 125
    assert "UNKNOWN" in done.stderr


BAD_WORDS = [
    ("7-9", "there is no job in 7-9"),
    ("train", "no job is named `train`"),
    ("last", "no job has been submitted from here yet"),
    ("1[", "no job is named `1[`"),
]


@pytest.mark.parametrize(
    ("verb", "word", "message"),
    [(verb, "9", "there is no job 9") for verb in ("attach", "wait", "logs", "explain", "cancel", "requeue", "jobs")]
    + [("wait", word, told) for word, told in BAD_WORDS],
)
def test_a_job_that_is_not_there_is_told(clbalance: Command, verb: str, word: str, message: str) -> None:
    done = clbalance(verb, word)
    assert (done.rc, done.stdout) == (2, b"")
    assert done.stderr.startswith(f"clbalance: {message}")


@pytest.mark.parametrize("name", ["1", "0-9", "last", "99999999999999999999", "-x"])
def test_no_job_is_named_so_that_its_name_means_other_jobs(clbalance: Command, name: str) -> None:
    (clbalance.folder / "job.sh").write_text(f"#CLB --name={name}\n")
    for words in ((f"--name={name}", "--", "true"), (f"--name={name}", "--array", "1", "--", "true"), ("job.sh",)):
        done = clbalance("run", "-w", "node1", *words)
        assert (done.rc, done.stdout) == (2, b"")
        assert f"`{name}` cannot be a job's name: where a job is named, it " in done.stderr
        assert "hint: such as `--name job-" in done.stderr
    assert clbalance("jobs", "--ended", "--format", "plain").stdout == b""


def test_a_script_whose_file_is_called_so_gets_another_name(clbalance: Command) -> None:
    for file in ("1", "last"):
        (clbalance.folder / file).write_text('echo "$CLBALANCE_JOB_NAME"\n')
        assert clbalance("run", "-q", "-w", "node1", file).text == f"job-{file}\n"
        assert clbalance("run", "-q", "-w", "node1", "--no-label", "--tasks", file).text == f"job-{file}\n"
    assert clbalance("jobs", "1", "--format", "plain").text.split("\t")[:2] == ["1", "job-1"]


def test_a_name_with_a_comma_is_one_job_for_those_after_it(clbalance: Command) -> None:
    assert clbalance("run", "-q", "-w", "node1", "--name", "lr=1,2", "--", "true").rc == 0
    done = clbalance("run", "-q", "-w", "node1", "--after", "lr=1,2", "--after", "1,last", "--", "echo", "after")
    assert (done.rc, done.text) == (0, "after\n")


def test_a_name_means_the_jobs_that_are_not_over_else_the_newest(clbalance: Command) -> None:
    for gate in ("a", "b"):
        detached(clbalance, "-w", "node1", "--name", "train", "-c", held(gate=gate))
    message = clbalance("attach", "train").stderr
    assert message == "clbalance: `train` names 2 jobs\nhint: one of 1, 2\n"
    let_go(clbalance, "b")
    assert clbalance("wait", "2").rc == 0
    let_go(clbalance, "a")
    assert "job 1 on" in clbalance("attach", "train").stderr
    assert "job 2 on" in clbalance("attach", "train").stderr


def test_a_detached_job_is_started_again_all_the_same(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "--retry", "1", "-c", held("exit 5"))
    let_go(clbalance)
    assert clbalance("wait").rc == 5
    assert job(clbalance, number)["attempt"] == 2


def test_a_hangup_before_the_start_gives_it_up(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").hang()
    child = clbalance.start("run", "-w", "node1", "--", "true")
    eventually(lambda: clbalance("jobs", "1").rc == 0)  # the connection begins before the job has its number
    child.send_signal(signal.SIGHUP)
    assert ended(child) == 129
    assert job(clbalance, "1")["state"] == "CANCELLED"
