"""A job outlives its agent: it runs on, and any later agent follows it, tells it and hears its end."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest

from tests.node.agent_client import AgentClient, gone, lives, pids_in
from tests.node.lives import WITHIN_S, Lives, begin_to_follow, carriers, collect, kill, marks_in
from tests.node.test_agent_tree import DEAF, FAMILY, MEMBERS, close_input
from tests.waiting import SOON_S, eventually

from .test_agent_output import producer

WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.02; done"
SAYS = f"echo one; echo two >&2; touch said; {WAIT_FOR_GO}; echo three; exit 7"


def go(jobs: Lives) -> None:
    (jobs.node.base / "go").touch()


@pytest.mark.parametrize("leave", [close_input, subprocess.Popen.kill, subprocess.Popen.terminate])
def test_a_job_runs_on_when_its_agent_goes(jobs: Lives, leave: "Callable[[subprocess.Popen[bytes]], None]") -> None:
    first = jobs.agent()
    claim, supervisor = jobs.start(first, SAYS)
    leave(first.process)
    first.process.wait(WITHIN_S)
    assert lives(supervisor)
    assert jobs.settle(claim) == {"state": "running"}
    second = jobs.agent()
    go(jobs)
    stdout, stderr, ended = collect(second, claim.job)
    assert (stdout, stderr, ended["ev"]) == (b"one\nthree\n", b"two\n", "ended")
    assert ended["end"] == {"kind": "exited", "rc": 7}
    assert ended["warnings"] == []
    assert gone([supervisor])


def test_a_tied_job_does_not(jobs: Lives) -> None:
    first = jobs.agent()
    claim, supervisor = jobs.start(first, SAYS, tied=True)
    first.process.kill()
    assert gone([supervisor])
    ended = jobs.settle(claim)
    assert ended["record"]["end"] == {"kind": "cancelled", "why": "the connection to the node ended"}


@pytest.mark.parametrize(
    ("wanted", "stdout", "stderr"),
    [
        ({}, b"one\nthree\n", b"two\n"),
        ({"stdout": 2}, b"e\nthree\n", b"two\n"),
        ({"stdout": 4, "stderr": 4}, b"three\n", b""),
        ({"streams": ["stderr"], "stderr": 3}, b"", b"\n"),
        ({"streams": []}, b"", b""),
        ({"window": 1}, b"one\nthree\n", b"two\n"),
    ],
    ids=str,
)
def test_output_is_followed_from_any_offset(
    jobs: Lives, wanted: dict[str, object], stdout: bytes, stderr: bytes
) -> None:
    claim, _ = jobs.start(jobs.agent(), SAYS)
    go(jobs)
    *parts, ended = collect(jobs.agent(), claim.job, **wanted)
    assert parts == [stdout, stderr]
    assert ended["end"] == {"kind": "exited", "rc": 7}


def test_an_offset_beyond_the_end_brings_nothing_and_the_end(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), SAYS)
    go(jobs)
    late = jobs.agent()
    late.ask("follow", claim.job, window=1, stdout=1 << 60, stderr=1 << 60)
    assert late.event()["ev"] == "ended"


@pytest.mark.parametrize("streams", [[], ["stdout"], ["stdout", "stderr"]])
def test_who_wants_what_there_is_now_is_told_when_that_is_all(jobs: Lives, streams: list[str]) -> None:
    claim, _ = jobs.start(jobs.agent(), SAYS)
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    stdout, stderr, last = collect(late, claim.job, streams=streams, stop="now")
    assert last == {"ev": "current", "job": claim.job}
    assert (stdout, stderr) == (b"one\n" * ("stdout" in streams), b"two\n" * ("stderr" in streams))
    go(jobs)
    assert late.line(0.3) is None
    assert collect(late, claim.job, stdout=4, stderr=4)[0] == b"three\n"
    assert collect(late, claim.job, stop="now")[2]["ev"] == "ended"


@pytest.mark.parametrize(("then", "rest"), [("sleep 60", b""), ("exit 0", b"three\n")], ids=["runs on", "ends"])
def test_what_is_written_meanwhile_is_not_what_there_is_now_unless_it_is_the_last(
    jobs: Lives, then: str, rest: bytes
) -> None:
    client = jobs.agent()
    claim, supervisor = jobs.start(client, f"echo one; touch said; {WAIT_FOR_GO}; echo three; touch more; {then}")
    eventually((jobs.node.base / "said").exists)
    client.acks = False
    begin_to_follow(client, claim.job, window=1, streams=["stdout"], stop="now")
    assert client.event()["data"] == "bw=="  # the first letter; no more before it is acknowledged
    go(jobs)
    eventually((jobs.node.base / "more").exists)
    if rest:
        assert gone([supervisor])
    client.acks = True
    client.ask("ack", claim.job, stream="stdout", offset=1)
    client.until("ended" if rest else "current", claim.job)
    assert client.output[claim.job, "stdout"] == b"one\n" + rest


def test_its_own_agent_tells_what_there_is_now_too(jobs: Lives) -> None:
    client = jobs.agent()
    claim, _ = jobs.start(client, SAYS)
    eventually((jobs.node.base / "said").exists)
    assert collect(client, claim.job, stop="now") == (b"one\n", b"two\n", {"ev": "current", "job": claim.job})
    go(jobs)
    assert collect(client, claim.job)[2]["ev"] == "ended"


def test_the_end_is_told_soon(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), SAYS)
    late = jobs.agent()
    assert collect(late, claim.job, stop="now")[2]["ev"] == "current"
    begin_to_follow(late, claim.job)
    time.sleep(0.5)  # so that it looks as seldom as it ever does
    began = time.monotonic()
    go(jobs)
    late.until("ended", claim.job)
    assert time.monotonic() - began < SOON_S


def test_two_agents_follow_at_once(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), SAYS)
    followers = [jobs.agent(), jobs.agent()]
    for each in followers:
        begin_to_follow(each, claim.job)
        while each.output[claim.job, "stdout"] != b"one\n":
            each.until("output")
    go(jobs)
    ended = [each.until("ended", claim.job) for each in followers]
    assert ended[0] == ended[1]
    assert [bytes(each.output[claim.job, "stdout"]) for each in followers] == [b"one\nthree\n"] * 2
    for each in followers:
        each.ask("forget", claim.job)
        each.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
        assert each.event()["record"]["end"] == {"kind": "exited", "rc": 7}


def test_100_mb_of_a_job_of_another_agent_stream_through_in_constant_memory(jobs: Lives) -> None:
    first = jobs.agent()
    claim = jobs.admit(first)
    first.ask("start", claim.job, spec={"argv": producer(1600)})
    first.until("started", claim.job)
    first.process.kill()
    eventually((jobs.folder(claim) / "exit").exists, 60)
    late = jobs.agent()
    agent = psutil.Process(late.process.pid)
    resting = agent.memory_info().rss
    worst = 0
    begin_to_follow(late, claim.job)
    while (event := late.event())["ev"] == "output":
        if event["offset"] % (50 * 48 << 10) == 0:
            worst = max(worst, agent.memory_info().rss)
    stdout, stderr = (bytes(late.output[claim.job, name]) for name in ("stdout", "stderr"))
    assert len(stdout) == 100 << 20
    assert hashlib.sha256(stdout).hexdigest().encode() == stderr
    assert 0 < worst - resting < 8 << 20


# Orders of a later agent


def begin_family(jobs: Lives, before: str = "") -> tuple[str, list[int], AgentClient]:
    """A job of many kinds of processes whose agent is dead, their pids with the supervisor's, and a later agent."""
    first = jobs.agent()
    claim, supervisor = jobs.start(first, FAMILY % (before, "wait"))
    first.process.kill()
    return claim.job, [supervisor, *pids_in(jobs.node.base / "pids", MEMBERS)], jobs.agent()


@pytest.mark.parametrize("before", ["", DEAF], ids=["heeding TERM", "ignoring TERM"])
def test_a_later_agent_ends_the_whole_tree(jobs: Lives, before: str) -> None:
    job, pids, late = begin_family(jobs, before)
    begin_to_follow(late, job)
    late.ask("end", job, grace_s=0.1, why="told to")
    assert late.until("ended", job)["end"] == {"kind": "cancelled", "why": "told to"}
    assert gone(pids)


def test_an_agent_that_is_killed_behind_its_order_changes_nothing(jobs: Lives) -> None:
    job, pids, late = begin_family(jobs, DEAF)
    late.ask("end", job, grace_s=0.5, why="told to")
    late.ask("resume", job)  # an error, the answer to which says that the order was given
    assert late.event()["ev"] == "error"
    late.process.kill()
    ended = collect(jobs.agent(), job)[2]
    assert ended["end"] == {"kind": "cancelled", "why": "told to"}
    assert gone(pids)


def test_a_later_agents_signal_reaches_the_job(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), "trap 'exit 9' USR1; touch said; while :; do sleep 0.02; done")
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    late.ask("signal", claim.job, signal=int(signal.SIGUSR1))
    assert collect(late, claim.job)[2]["end"] == {"kind": "exited", "rc": 9}


def test_orders_to_a_job_that_has_ended_are_harmless(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), "exit 3")
    assert gone([supervisor])
    late = jobs.agent()
    late.ask("signal", claim.job, signal=9)
    late.ask("end", claim.job, grace_s=0, why="")
    assert collect(late, claim.job)[2]["end"] == {"kind": "exited", "rc": 3}


GARBAGE = [
    "echo nonsense",
    "printf half",
    "printf '\\377\\n[[[[\\n{}\\n[]\\n1\\n\"do\"\\n'",
    "head -c 1000000 /dev/zero",
    'yes \'{"do":"signal","signal":-1}\' | head -n 1000',
    'echo \'{"do":"end"}{\'; echo \'{"do":"signal","signal":1e3}\'; echo \'{"do":["end"]}\'; echo \'{"do":"start"}\'',
    'echo \'{"do":"signal"}\'; echo \'{"do":"signal","signal":true}\'; echo \'{"do":"end","grace_s":-1}\'',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_the_job_itself_orders_amiss_is_no_order_and_hides_none(jobs: Lives, garbage: str) -> None:
    script = f'({garbage}) > "$CLBALANCE_JOB_DIR/control"; touch said; sleep 600'
    claim, _ = jobs.start(jobs.agent(), script)
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    assert collect(late, claim.job, stop="now")[2]["ev"] == "current"
    late.ask("end", claim.job, grace_s=1, why="told to")
    assert collect(late, claim.job)[2]["end"] == {"kind": "cancelled", "why": "told to"}


def test_a_job_may_end_itself_by_order_however_long_its_reason(jobs: Lives) -> None:
    order = json.dumps({"do": "end", "grace_s": 0, "why": "é" * 600})
    script = f"printf '%s\\n' '{order}' > \"$CLBALANCE_JOB_DIR/control\"; sleep 600"
    claim, supervisor = jobs.start(jobs.agent(), script)
    assert gone([supervisor])
    parsed = jobs.settle(claim)
    assert parsed["record"]["end"]["kind"] == "cancelled"
    assert parsed == jobs.settle(claim)


def test_the_longest_reason_there_can_be_is_kept(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), "sleep 600")
    late = jobs.agent()
    late.ask("end", claim.job, grace_s=0, why="\U0001f600" * 1000)
    ended = collect(late, claim.job)[2]
    assert ended["end"] == {"kind": "cancelled", "why": "\U0001f600" * 200}
    assert jobs.settle(claim)["record"]["end"] == ended["end"]


def test_a_job_that_floods_its_control_can_be_ended_all_the_same(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), 'touch said; exec yes > "$CLBALANCE_JOB_DIR/control"')
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    late.ask("end", claim.job, grace_s=0.1, why="told to")
    assert collect(late, claim.job)[2]["end"]["kind"] == "cancelled"
    assert gone([supervisor])


@pytest.mark.parametrize(
    "mischief",
    [
        'rm "$CLBALANCE_JOB_DIR/control"',
        'cd "$CLBALANCE_JOB_DIR"; rm control; echo x > control',
        'cd "$CLBALANCE_JOB_DIR"; rm control; ln -s /dev/null control',
        'cd "$CLBALANCE_JOB_DIR"; rm control; mkdir control',
        'cd "$CLBALANCE_JOB_DIR"; rm control; mkfifo control',
        'rm -r "$CLBALANCE_JOB_DIR"',
    ],
)
def test_a_job_that_removes_what_orders_come_by_is_ended_by_its_supervisor(jobs: Lives, mischief: str) -> None:
    claim, supervisor = jobs.start(jobs.agent(), f"({mischief}); touch said; sleep 600")
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    assert jobs.settle(claim) == {"state": "running"}
    late.ask("signal", claim.job, signal=int(signal.SIGUSR1))
    assert late.event()["why"] == f"signal: {claim.job} cannot get the order: its `control` is missing, full or no FIFO"
    late.ask("end", claim.job, grace_s=0.1, why="told to")
    ended = collect(late, claim.job)[2]
    assert ended["end"] == {"kind": "cancelled", "why": "the job's supervisor received a signal to stop"}
    assert gone([supervisor])
    assert jobs.settle(claim)["record"]["end"] == ended["end"]


@pytest.mark.parametrize("what", ["control", "exit.tmp", "fate", "stdout", "spec", ""])
def test_a_job_that_removes_any_of_its_folder_still_ends(jobs: Lives, what: str) -> None:
    claim, _ = jobs.start(jobs.agent(), f'echo x >> ran; rm -r "$CLBALANCE_JOB_DIR/{what}"; touch said; {WAIT_FOR_GO}')
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    begin = what != "fate"  # whose absence says that nothing was started; nobody but the job itself can remove it
    if begin:
        assert collect(late, claim.job, stop="now")[2]["ev"] == "current"
        begin_to_follow(late, claim.job)
    go(jobs)
    if begin:
        assert late.until("ended", claim.job)["end"] == {"kind": "exited", "rc": 0}
    parsed = eventually(lambda: (parsed := jobs.settle(claim, void=False))["state"] == "ended" and parsed)
    assert parsed["record"]["end"] == {"kind": "exited", "rc": 0}
    again = jobs.agent()
    again.ask("claim", claim.job)
    assert again.until_refused(claim.job)["kind"] == "exists"
    assert marks_in(jobs.node.base / "ran") == 1


def test_the_end_of_a_job_that_removed_its_folder_and_lost_its_supervisor_is_told(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), 'rm -r "$CLBALANCE_JOB_DIR"; setsid sleep 600 & touch said; wait')
    eventually((jobs.node.base / "said").exists)
    late = jobs.agent()
    assert collect(late, claim.job, stop="now")[2]["ev"] == "current"
    begin_to_follow(late, claim.job)
    kill(supervisor)
    assert late.until("ended", claim.job)["end"] == {"kind": "killed", "signal": 9}
    assert not carriers(claim.job)


def test_a_link_in_place_of_the_output_leads_nowhere(jobs: Lives) -> None:
    script = 'cd "$CLBALANCE_JOB_DIR"; rm stdout; ln -s /etc/passwd stdout; exit 3'
    claim, supervisor = jobs.start(jobs.agent(), script)
    assert gone([supervisor])
    stdout, _, ended = collect(jobs.agent(), claim.job)
    assert (stdout, ended["end"]) == (b"", {"kind": "exited", "rc": 3})


def test_who_follows_output_that_was_removed_is_told_so(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), 'rm "$CLBALANCE_JOB_DIR/stdout"; exit 3')
    assert gone([supervisor])
    late = jobs.agent()
    begin_to_follow(late, claim.job)
    parsed = late.event()
    assert (parsed["ev"], parsed["why"]) == ("error", f"{claim.job}: its stdout was removed")


def test_the_folder_of_a_running_job_is_locked_against_ageing(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), "sleep 600")
    fd = os.open(jobs.folder(claim), os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kill(supervisor)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(fd)


def test_what_was_not_started_can_be_neither_followed_nor_told(jobs: Lives) -> None:
    claim = jobs.admit(jobs.agent())
    late = jobs.agent()
    for op, fields in (("follow", {"window": 1}), ("signal", {"signal": 1}), ("end", {"grace_s": 0, "why": ""})):
        late.ask(op, claim.job, **fields)
        assert late.event() == {"ev": "error", "why": f"{op}: {claim.job} was not started here", "job": claim.job}


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"streams": ["stdin"]}, "`streams` are stdout, stderr, log and spec"),
        ({"streams": ["stdout", "stdout"]}, "`streams` are stdout, stderr, log and spec"),
        ({"streams": [[]]}, "`streams` are stdout, stderr, log and spec"),
        ({"stop": "soon"}, "`stop` is now or end"),
        ({"stdout": -1}, "must be a whole number, 0 or more"),
    ],
)
def test_what_cannot_be_followed_is_an_error(jobs: Lives, wanted: dict[str, object], reason: str) -> None:
    claim, _ = jobs.start(jobs.agent(), "sleep 600")
    late = jobs.agent()
    late.ask("follow", claim.job, **{"window": 1, **wanted})
    assert reason in late.event()["why"]
    assert collect(late, claim.job, stop="now")[2]["ev"] == "current"
