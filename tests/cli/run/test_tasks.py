"""Many tasks in one job: each runs once, wherever a slot is free, whatever dies."""

import json
import signal
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, nothing_left, send
from tests.cli.held_jobs import LATER, SOON, detached, held, job, let_go
from tests.waiting import SOON_S, eventually

from .test_run_ends import NOTICED_SOON

DIARY = "echo $CLBALANCE_TASK_ID $CLBALANCE_NODE >> diary"


def listed(clbalance: Command, *lines: str) -> str:
    """A file of tasks."""
    (clbalance.folder / "list").write_text("".join(f"{line}\n" for line in lines))
    return "list"


def diary(clbalance: Command) -> list[list[str]]:
    path = clbalance.folder / "diary"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def ran(clbalance: Command) -> list[int]:
    """The numbers of the tasks that have begun, each as often as it has."""
    return sorted(int(words[0]) for words in diary(clbalance))


def tasks(clbalance: Command, number: str = "1", *options: str) -> list[dict[str, Any]]:
    """The joblog, as programs read it."""
    found = json.loads(clbalance("jobs", number, "--tasks", "--json", *options).text)["tasks"]
    assert isinstance(found, list)
    return found


def states(clbalance: Command, *options: str) -> list[str]:
    return [one["state"] for one in tasks(clbalance, "1", *options)]


# -- what runs ------------------------------------------------------------------------------------


def test_each_line_of_a_file_is_a_command(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance(
            "run", "-w", "node[1-2]", "--tasks", listed(clbalance, "echo 'a  b' | cat", "", "echo oops >&2")
        )
    assert (done.rc, done.text) == (0, "1: a  b\n")
    assert "2: oops\n" in done.stderr
    assert done.stderr.endswith("clbalance: 2 of 2 tasks completed\n")
    assert job(clbalance, "1")["state"] == "COMPLETED"
    assert [(one["task"], one["command"]) for one in tasks(clbalance)] == [
        (1, "echo 'a  b' | cat"),
        (2, "echo oops >&2"),
    ]


def test_tasks_come_from_standard_input_too(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node1", "--no-label", "--tasks", "-", stdin=b"printf '\xff'; echo \xc3\xa9")
    assert (done.rc, done.stdout) == (0, b"\xff\xc3\xa9\n")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_a_list_may_be_written_on_any_system(clbalance: Command, mark: bytes, end: bytes, final: bool) -> None:
    content = mark + end.join([b"printf '[%s]' a", b"", b"printf '[%s]' b"]) + (end if final else b"")
    done = clbalance("run", "-q", "--no-label", "-w", "node1", "--tasks", "-", stdin=content)
    assert done.rc == 0
    assert sorted(done.text.replace("]", "]\n").split()) == ["[a]", "[b]"]


def test_an_array_runs_one_command_with_each_number(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node[1-4]", "--array", "1,4-8:2", "--", "sh", "-c", "echo $CLBALANCE_TASK_ID")
    assert done.rc == 0
    assert sorted(done.lines) == ["1: 1", "4: 4", "6: 6", "8: 8"]


def test_never_more_at_once_than_the_array_allows(clbalance: Command) -> None:
    met = "until [ $(grep -c + diary) -ge 3 ]; do sleep 0.02; done"  # the first ones wait for each other
    text = f"echo + >> diary; {met}; sleep 0.1; echo - >> diary"
    assert clbalance("run", "-q", "-w", "node[1-4]", "--array", "0-11%3", "-c", text).rc == 0
    at_once = most = 0
    for (sign,) in diary(clbalance):
        at_once += 1 if sign == "+" else -1
        most = max(most, at_once)
    assert (most, at_once) == (3, 0)


def test_output_goes_to_a_file_for_each_task(clbalance: Command) -> None:
    lines = ("echo one", "true", "echo three; echo oops >&2")
    done = clbalance("run", "-w", "node[1-2]", "--output", "out-%t.txt", "--tasks", listed(clbalance, *lines))
    assert (done.rc, done.text) == (0, "")
    texts = [(clbalance.folder / f"out-{number}.txt").read_text() for number in (1, 2, 3)]
    assert texts[:2] == ["one\n", ""]
    assert "three\n" in texts[2]


def test_the_highest_code_is_the_jobs_and_each_task_has_its_own(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node[1-2]", "--tasks", listed(clbalance, "exit 3", "true", "exit 7", "kill -9 $$"))
    assert done.rc == 137
    assert [(one["state"], one["rc"]) for one in tasks(clbalance)] == [
        ("FAILED", 3), ("COMPLETED", 0), ("FAILED", 7), ("FAILED", 137),
    ]  # fmt: skip
    assert "1 of 4 tasks completed, 3 failed" in done.stderr
    assert job(clbalance, "1")["reason"] == "1 of 4 tasks completed, 3 failed"


def test_a_time_limit_is_a_tasks_own(clbalance: Command) -> None:
    lines = ("sleep 300", "sleep 1.2", "sleep 1.2", "sleep 1.2")
    done = clbalance("run", "--time-limit", "3s", "-w", "node1", "--tasks", listed(clbalance, *lines))
    assert done.rc == 124
    assert states(clbalance) == ["TIMEOUT", *["COMPLETED"] * 3]


def test_a_slow_task_holds_up_no_other(clbalance: Command) -> None:
    lines = (held(DIARY), *[DIARY] * 20)
    child = clbalance.start("run", "-w", "node1", "--tasks", listed(clbalance, *lines))
    eventually(lambda: len(ran(clbalance)) == 20)
    let_go(clbalance)
    assert ended(child) == 0
    assert ran(clbalance) == list(range(1, 22))


def test_a_node_has_as_many_slots_as_the_settings_say(clbalance: Command) -> None:
    config = clbalance.folder / "config.toml"
    config.write_text('[[nodes]]\nset = "node1"\nslots = 1\n')
    few = Command(
        env={**clbalance.env, "CLBALANCE_CONFIG": str(config)}, folder=clbalance.folder, opened=clbalance.opened
    )
    text = "echo + >> diary; sleep 0.05; echo - >> diary"
    assert few("run", "-q", "-w", "node1", "--array", "0-4", "-c", text).rc == 0
    assert diary(clbalance) == [["+"], ["-"]] * 5


def test_each_task_has_the_gpu_that_it_asks_for_and_no_other_has_it(clbalance: Command) -> None:
    text = 'echo "+ $CUDA_VISIBLE_DEVICES" >> diary; sleep 0.1; echo "- $CUDA_VISIBLE_DEVICES" >> diary'
    assert clbalance("run", "-q", "-w", "node[5-6]", "--gpus", "1", "--array", "0-9", "-c", text).rc == 0
    held_now: set[str] = set()
    for sign, gpu in diary(clbalance):
        assert (gpu in held_now) == (sign == "-")
        held_now ^= {gpu}
    assert len(diary(clbalance)) == 20


# -- failures -------------------------------------------------------------------------------------


def test_no_more_are_given_out_when_too_many_have_failed(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--max-fail", "1", "--array", "0-9%1", "-c", f"{DIARY}; exit 3")
    assert done.rc == 125
    assert ran(clbalance) == [0, 1]
    assert "0 of 10 tasks completed, 8 not started, 2 failed: more tasks failed than `--max-fail` allows" in done.stderr
    assert job(clbalance, "1")["state"] == "FAILED"


def test_a_task_that_failed_is_tried_elsewhere(clbalance: Command) -> None:
    text = f"{DIARY}; [ $(grep -c ^$CLBALANCE_TASK_ID' ' diary) = 2 ]"
    assert clbalance("run", "-q", "-w", "node[1-2]", "--retry", "1", "--array", "0-1%2", "-c", text).rc == 0
    assert ran(clbalance) == [0, 0, 1, 1]


def test_what_ran_on_a_node_that_dies_ends_elsewhere(lab: Lab, clbalance: Command) -> None:
    lines = [f"{DIARY}; {held()}"] * 6
    child = clbalance.start("run", "--requeue", "-w", "node[1-2]", "--tasks", listed(clbalance, *lines))
    eventually(lambda: "node1" in {node for _, node in diary(clbalance)})
    lab.node("node1").kill()
    lab.node("node1").boot()
    let_go(clbalance)
    assert ended(child) == 0
    assert states(clbalance) == ["COMPLETED"] * 6
    assert set(ran(clbalance)) == set(range(1, 7))


def test_a_node_that_hangs_is_unknown_and_then_tells_the_truth(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *NOTICED_SOON, "-w", "node1", "--array", "0-1", "-c", f"{DIARY}; {held('exit 3')}")
    eventually(lambda: len(ran(clbalance)) == 2)
    lab.node("node1").hang()
    assert ended(child) == 125
    assert states(clbalance, *SOON) == ["RUNNING", "RUNNING"]
    lab.node("node1").thaw()
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 3
    assert states(clbalance) == ["FAILED", "FAILED"]


# -- stopped, killed, resumed ----------------------------------------------------------------------


def test_ctrl_c_ends_all_at_once_and_says_what_was_not_started(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node[1-2]", "--array", "0-29%4", "-c", f"{DIARY}; echo up; sleep 300")
        eventually(lambda: len(ran(clbalance)) == 4)
        assert send(child, signal.SIGINT) < SOON_S
    assert child.returncode == 130
    found = states(clbalance)
    assert (found.count("CANCELLED"), found.count("PENDING")) == (4, 26)
    # Why they were cancelled is told unless the slots were too slow to say so: they have 1.7 s.
    assert job(clbalance, "1")["reason"].startswith("0 of 30 tasks completed, 26 not started, 4 cancelled: ")


def test_a_killed_run_leaves_its_slots_to_their_end_and_resume_runs_the_rest(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node[1-2]", "--array", "0-9%3", "-c", f"{DIARY}; {held()}")
        eventually(lambda: len(ran(clbalance)) == 3)
        done = clbalance("run", "--resume", "1")
        assert (done.rc, done.stderr.splitlines()[0]) == (2, "clbalance: job 1 is RUNNING")
        child.kill()
        ended(child)
        assert job(clbalance, "1")["state"] == "RUNNING"
        let_go(clbalance)
        assert clbalance("wait", "1").rc == 125
        assert job(clbalance, "1")["state"] == "FAILED"
        assert states(clbalance).count("COMPLETED") == 3
        assert clbalance("run", "--resume", "1").rc == 0
    assert ran(clbalance) == list(range(10))
    assert states(clbalance) == ["COMPLETED"] * 10
    assert "all its tasks are completed" in clbalance("run", "--resume", "1").stderr


@pytest.mark.parametrize("point", ["submitted", "intended", "given", "logged", "task"])
def test_whoever_dies_each_task_runs_once(lab: Lab, clbalance: Command, point: str) -> None:
    with nothing_left(lab):
        clbalance("run", *LATER, "-w", "node1", "--array", "0-5%2", "-c", DIARY, env={"CLBALANCE_FAIL_AT": point})
        clbalance("wait", "1")
        assert all(one["state"] != "RUNNING" for one in tasks(clbalance))
        once = ran(clbalance)
        assert len(set(once)) == len(once)
        assert clbalance("run", "--resume", "1").rc == 0
    again = ran(clbalance)
    if point == "task":  # its supervisor died with what it had begun
        assert set(again) == set(range(6))
    else:
        assert again == list(range(6))


def test_detached_they_run_without_us(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "--array", "0-3", "-c", f"{DIARY}; {held()}")
    eventually(lambda: len(ran(clbalance)) > 0)
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0
    assert ran(clbalance) == [0, 1, 2, 3]


def test_a_job_of_tasks_is_cancelled_as_any_other(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "--array", "0-9%2", "-c", f"{DIARY}; sleep 300")
        eventually(lambda: len(ran(clbalance)) == 2)
        assert clbalance("cancel", "1").rc == 0
        assert ended(child) == 125
    assert job(clbalance, "1")["state"] == "CANCELLED"
    assert sorted(states(clbalance)) == [*["CANCELLED"] * 2, *["PENDING"] * 8]


# -- what people see -------------------------------------------------------------------------------


def test_a_terminal_shows_how_far_they_have_come(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("run", "-w", "node1", "--array", "0-2%1", "-c", held(gate="go$CLBALANCE_TASK_ID"))
    terminal.read_until(b"0/3 tasks, 1 running")
    let_go(clbalance, "go0")
    terminal.read_until(b"left")
    let_go(clbalance, "go1")
    let_go(clbalance, "go2")
    assert terminal.end() == 0
    assert terminal.lines[-1] == "clbalance: 3 of 3 tasks completed"


def test_a_pipe_shows_nothing_of_it(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--array", "0-2", "-c", "sleep 0.3")
    assert "\r" not in done.stderr
    assert "running" not in done.stderr


def test_the_joblog_is_for_people_and_programs(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--tasks", listed(clbalance, "true", "exit 4"))
    parts = clbalance("jobs", "last", "--tasks").lines
    assert parts[0].split() == ["TASK", "STATE", "NODE", "CODE", "TIME", "COMMAND"]
    assert [line.split()[:4] for line in parts[1:]] == [["1", "COMPLETED", "node1", "0"], ["2", "FAILED", "node1", "4"]]
    plain = clbalance("jobs", "1", "--tasks", "--format", "plain").lines
    assert [line.split("\t")[1] for line in plain if line[0] != "#"][-2:] == ["COMPLETED", "FAILED"]
    clbalance("run", "-q", "-w", "node1", "--", "true")
    assert clbalance("jobs", "2", "--tasks").stderr == "clbalance: job 2 is not a job of tasks\n"


# -- what cannot be meant ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tasks", "empty"), "`--tasks empty`: no task in it"),
        (("--tasks", "missing"), "`--tasks missing`: No such file or directory"),
        (("--tasks", "."), "`--tasks .`: Is a directory"),
        (("--tasks", "nul"), "`--tasks nul`: a line holds a NUL"),
        (("--tasks", "mac"), "`--tasks mac`: a line holds a carriage return"),
        (("--tasks", "wide"), "`--tasks wide`: UTF-16LE, not UTF-8"),
        (("--tasks", "long"), "`--tasks long`: a line has 140000 characters"),
        (("--tasks", "good", "--", "true"), "`--tasks` has the commands already"),
        (("--array", "5-1", "--", "true"), "`--array` cannot be '5-1'"),
        (("--array", "x", "--", "true"), "`--array` cannot be 'x'"),
        (("--array", "0-9%0", "--", "true"), "`--array` cannot be '0-9%0'"),
        (("--array", "0-9:0", "--", "true"), "`--array` cannot be '0-9:0'"),
        (("--array", "0-9999999", "--", "true"), "`--array` cannot be"),
        (("--tasks", "good", "--array", "1"), "`--tasks` and `--array` are two ways"),
        (("--array", "1", "--pick", "2", "--", "true"), "`--pick` does not go with tasks"),
        (("--array", "1", "--pty", "--", "true"), "`--pty` does not go with tasks"),
        (("--array", "1", "--max-fail", "x", "--", "true"), "`--max-fail` cannot be 'x'"),
        (("--array", "1", "--max-fail", "101%", "--", "true"), "`--max-fail` cannot be '101%'"),
        (("--array", "1"), ""),
        (("--resume", "9"), "there is no job 9"),
        (("--resume", "1", "--", "true"), "`--resume` runs what was submitted"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_told(alone: Command, arguments: tuple[str, ...], message: str) -> None:
    for name, text in (("empty", "\n \n"), ("good", "true\n"), ("nul", "a\0b\n"), ("long", "x" * 140_000)):
        (alone.folder / name).write_text(text)
    (alone.folder / "mac").write_bytes(b"true\rtrue\r")
    (alone.folder / "wide").write_bytes("true\ntrue\n".encode("utf-16-le"))
    nodes = () if "--resume" in arguments else ("-w", "node1")
    done = alone("run", *nodes, *arguments)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr


def test_a_job_that_is_none_of_tasks_is_not_resumed(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--", "false")
    done = clbalance("run", "--resume", "1")
    assert (done.rc, done.stderr.splitlines()[0]) == (2, "clbalance: job 1 is not a job of tasks")


def test_requeue_of_a_job_of_tasks_runs_those_again_that_failed(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--array", "1-2", "--", "sh", "-c", "exit $((CLBALANCE_TASK_ID - 1))")
    done = clbalance("requeue", "1")
    assert done.rc == 1
    assert "1 task on 1 slot of node1" in done.stderr
    assert "1 of 2 tasks completed, 1 failed" in done.stderr


def test_tasks_on_a_node_that_is_said_to_be_dead_run_elsewhere(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=3.5)
    child = clbalance.start("run", "-w", "node[1-2]", "--cpus", "4", "--array", "1", "--", "sleep", "300")
    eventually(lambda: "RUNNING" in clbalance("jobs").text)
    child.kill()
    ended(child)
    lab.node("node1").hang()
    lab.node("node2").load(r1m=0.1)
    waits = clbalance("requeue", *LATER, "1")
    assert (waits.rc, "`--node-is-dead` requeues it all the same" in waits.stderr) == (2, True)
    number = clbalance("requeue", *LATER, "--node-is-dead", "--detach", "1")
    assert (number.rc, number.text) == (0, "1\n")
    assert "may run twice" in number.stderr
    eventually(lambda: "node2" in clbalance("jobs").text)
    assert clbalance("cancel", "--all").rc == 0


def test_where_no_slot_fits_it_is_told_why_not(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "-w", "node1", "--array", "1", "--", "true")
    assert done.rc == 125
    assert "0/1 nodes fit: 1 load above 1.00" in done.stderr
    assert job(clbalance, "1")["state"] == "CANCELLED"
