"""What an agent answers to who asks what became of a job: every row of the table in docs/design/jobs.md."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clbalance.node.agent.job.outcome import parse_record
from tests.node.agent_client import AgentClient, gone, pids_in
from tests.node.lives import (
    Claim,
    Lives,
    ask_admission,
    ask_running_s,
    ask_settle,
    ask_start,
    carriers,
    collect,
    kill,
    marks_in,
)
from tests.node.nodes import wait_until_void
from tests.node.test_agent_tree import DEAF, FAMILY, MEMBERS
from tests.waiting import eventually

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"
REBOOTED = {"state": "gone", "why": "the node was booted again"}
WIPED = {"state": "gone", "why": "the node folder was wiped"}
KILLED = {"kind": "killed", "signal": 9}
ONCE = "echo x >> ran; sleep 600"


def ended_job(jobs: Lives) -> Claim:
    claim, supervisor = jobs.start(jobs.agent(), "echo x >> ran; exit 7")
    assert gone([supervisor])
    return claim


def bereaved_job(jobs: Lives) -> Claim:
    """A job whose supervisor and agent died at once; what it had in its background lives."""
    first = jobs.agent()
    claim, supervisor = jobs.start(first, FAMILY % (DEAF, "wait"))
    pids_in(jobs.node.base / "pids", MEMBERS)
    first.process.kill()
    kill(supervisor)
    assert carriers(claim.job)
    return claim


def wipe(jobs: Lives) -> None:
    shutil.rmtree(jobs.node.home())


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("since", ["nothing", "a reboot"])
def test_a_job_with_a_kept_end_has_ended(jobs: Lives, since: str, void: bool) -> None:
    claim = ended_job(jobs)
    if since == "a reboot":
        jobs.node.boot(OTHER_BOOT)
    parsed = jobs.settle(claim, void=void)
    assert parsed["state"] == "ended"
    assert parsed["record"]["end"] == {"kind": "exited", "rc": 7}
    assert parsed == jobs.settle(claim, void=not void)
    stdout, _, ended = collect(jobs.agent(), claim.job)
    assert (stdout, ended["end"]) == (b"", {"kind": "exited", "rc": 7})


def test_a_forgotten_job_has_still_ended(jobs: Lives) -> None:
    claim = ended_job(jobs)
    parsed = jobs.settle(claim)
    late = jobs.agent()
    collect(late, claim.job)
    late.ask("forget", claim.job)
    assert ask_settle(late, claim, void=True) == parsed == jobs.settle(claim)


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("how", ["claimed", "absent", "started"])
def test_after_a_reboot_what_left_no_end_is_gone(jobs: Lives, how: str, void: bool) -> None:
    match how:
        case "claimed":
            claim = jobs.admit(jobs.agent())
        case "absent":
            claim = jobs.claim(jobs.agent())
            jobs.folder(claim).rmdir()
        case _:
            claim = bereaved_job(jobs)
    jobs.node.boot(OTHER_BOOT)
    assert jobs.settle(claim, void=void) == REBOOTED == jobs.settle(claim)
    assert (jobs.folder(claim) / "fate").is_symlink() is (how == "started")


def test_who_follows_what_a_reboot_took_leaves_it_gone(jobs: Lives) -> None:
    claim = bereaved_job(jobs)
    jobs.node.boot(OTHER_BOOT)
    collect(jobs.agent(), claim.job)
    assert jobs.settle(claim) == REBOOTED


def test_what_was_void_before_a_reboot_is_void_behind_it(jobs: Lives) -> None:
    claim = jobs.claim(jobs.agent())
    assert jobs.settle(claim) == {"state": "void"}
    jobs.node.boot(OTHER_BOOT)
    assert jobs.settle(claim) == {"state": "void"}


@pytest.mark.parametrize("void", [True, False])
def test_in_a_wiped_node_folder_nothing_runs_on(jobs: Lives, void: bool) -> None:
    first = jobs.agent()
    claim, supervisor = jobs.start(first, FAMILY % (DEAF, "wait"))
    pids = pids_in(jobs.node.base / "pids", MEMBERS)
    first.process.kill()
    wipe(jobs)
    assert jobs.settle(claim, void=void) == WIPED
    assert gone([*pids, supervisor])
    assert jobs.settle(claim) == WIPED


def test_a_job_in_another_home_than_this_users_is_no_wiped_one(jobs: Lives) -> None:
    """Another user's, or ours under a name that is not taken for ours any more."""
    claim, supervisor = jobs.start(jobs.agent(), "sleep 300")
    home = jobs.node.home()
    home.rename(home.with_name(f"{home.name}-7"))
    with jobs.node.client() as fresh:
        fresh.until("hello")
        fresh.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
        parsed = fresh.event()
    assert parsed["ev"] == "error"
    assert f"{claim.job} is kept in `{home}-7`" in parsed["why"]
    assert not gone([supervisor], wait_s=0.1)


def test_a_claim_in_a_wiped_node_folder_is_gone_and_cannot_be_started_any_more(jobs: Lives) -> None:
    first = jobs.agent()
    claim = jobs.admit(first)
    wipe(jobs)
    assert jobs.settle(claim) == WIPED
    ask_start(first, claim.job, ONCE, chdir=str(jobs.node.base))
    assert first.until_refused(claim.job)["kind"] == "resources"
    assert marks_in(jobs.node.base / "ran") == 0


def absent(jobs: Lives, client: AgentClient) -> Claim:
    """As if the claim had never arrived, which comes now."""
    claim = jobs.claim(client)
    jobs.folder(claim).rmdir()
    return claim


@pytest.mark.parametrize(("how", "looked"), [(absent, "absent"), (Lives.claim, "claimed"), (Lives.admit, "claimed")])
def test_what_was_not_started_is_void_for_ever(
    jobs: Lives, how: Callable[[Lives, AgentClient], Claim], looked: str
) -> None:
    first = jobs.agent()
    claim = how(jobs, first)
    for _ in range(2):
        assert jobs.settle(claim, void=False) == {"state": looked}
    for _ in range(2):
        assert jobs.settle(claim) == {"state": "void"}
    assert jobs.settle(claim, void=False) == {"state": "void"}
    late = jobs.agent()
    late.ask("claim", claim.job)
    assert late.until_refused(claim.job)["kind"] == "exists"


@pytest.mark.parametrize("admitted", [False, True], ids=["claimed", "admitted"])
def test_a_start_that_comes_after_the_void_is_refused(jobs: Lives, admitted: bool) -> None:
    first = jobs.agent()
    claim = jobs.admit(first) if admitted else jobs.claim(first)
    assert jobs.settle(claim) == {"state": "void"}
    if not admitted:
        ask_admission(first, claim.job)
        first.until("admitted", claim.job)
    ask_start(first, claim.job, ONCE, chdir=str(jobs.node.base))
    refused = first.until_refused(claim.job)
    assert (refused["kind"], refused["why"]) == ("void", "it was declared void before it started")
    assert jobs.settle(claim) == {"state": "void"}
    assert marks_in(jobs.node.base / "ran") == 0
    assert jobs.node.leases() == []
    assert [path.name for path in jobs.folder(claim).iterdir()] == ["fate"]


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("agent", ["alive", "dead"])
def test_a_job_that_runs_is_running(jobs: Lives, agent: str, void: bool) -> None:
    first = jobs.agent()
    claim, _ = jobs.start(first, ONCE)
    if agent == "dead":
        first.process.kill()
    for _ in range(2):
        assert jobs.settle(claim, void=void) == {"state": "running"}


def test_how_long_a_job_runs_is_counted_from_the_start_of_its_program(jobs: Lives) -> None:
    began = time.monotonic()
    claim, _ = jobs.start(jobs.agent(), ONCE)
    with jobs.node.client() as other:
        other.until("hello")
        found = eventually(lambda: (seconds := ask_running_s(other, claim)) > 0.3 and seconds)
    assert found < time.monotonic() - began


@pytest.mark.parametrize("void", [True, False])
def test_what_a_dead_supervisor_has_left_is_killed_and_its_job_has_ended(jobs: Lives, void: bool) -> None:
    claim = bereaved_job(jobs)
    parsed = jobs.settle(claim, void=void)
    assert parsed["state"] == "ended"
    assert parsed["record"]["end"] == KILLED
    assert parsed["record"]["warnings"] == ["the job's supervisor died, which killed the job"]
    assert not carriers(claim.job)
    assert json.loads((jobs.folder(claim) / "exit").read_text()) == parsed["record"]
    assert parsed == jobs.settle(claim, void=not void)
    jobs.node.boot(OTHER_BOOT)
    assert parsed == jobs.settle(claim)


def test_the_agent_that_lives_and_one_that_settles_tell_the_same_end(jobs: Lives) -> None:
    first = jobs.agent()
    claim, supervisor = jobs.start(first, FAMILY % (DEAF, "wait"))
    pids_in(jobs.node.base / "pids", MEMBERS)
    kill(supervisor)
    parsed = jobs.settle(claim)
    ended = collect(first, claim.job)[2]
    assert ended["end"] == parsed["record"]["end"] == KILLED
    assert not carriers(claim.job)


def test_many_that_bury_a_job_at_once_tell_the_same_end(jobs: Lives) -> None:
    claim = bereaved_job(jobs)
    agents = [jobs.agent() for _ in range(4)]
    for each in agents:
        each.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
    parts = [each.event() for each in agents]
    assert all(each == parts[0] for each in parts), parts
    assert parts[0]["record"]["end"] == KILLED
    assert not carriers(claim.job)


def test_the_next_admission_of_its_owner_ends_what_a_dead_supervisor_has_left(jobs: Lives) -> None:
    claim = bereaved_job(jobs)
    jobs.admit(jobs.agent())
    assert not carriers(claim.job)
    assert jobs.settle(claim)["record"]["end"] == KILLED


def test_a_job_that_could_not_be_executed_is_void(jobs: Lives) -> None:
    first = jobs.agent()
    claim = jobs.admit(first)
    first.ask("start", claim.job, spec={"argv": ["/etc/passwd"]})
    assert first.until_refused(claim.job)["kind"] == "exec"
    assert jobs.settle(claim, void=False) == {"state": "void"}


def test_an_admitted_job_whose_agent_dies_is_open_until_it_is_settled(jobs: Lives) -> None:
    first = jobs.agent()
    claim = jobs.admit(first)
    lease = jobs.node.lease_of(claim.job)
    first.process.kill()
    wait_until_void(lease)
    assert jobs.settle(claim, void=False) == {"state": "claimed"}
    assert jobs.settle(claim) == {"state": "void"}


def test_a_job_of_this_session_cannot_be_settled(jobs: Lives) -> None:
    client = jobs.agent()
    own = jobs.claim(client)
    met, _ = jobs.start(jobs.agent(), ONCE)
    assert collect(client, met.job, stop="now")[2]["ev"] == "current"
    for claim in (own, met):
        client.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
        assert client.event() == {
            "ev": "error",
            "why": f"settle: {claim.job} belongs to this session",
            "job": claim.job,
        }
    assert jobs.settle(own, void=False) == {"state": "claimed"}


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("admitted", [True, False], ids=["start", "claim, admission and start"])
def test_a_start_and_who_settles_at_the_same_time_agree(jobs: Lives, admitted: bool, void: bool) -> None:
    first, other = jobs.agent(), jobs.agent()
    sample = jobs.claim(first)
    for attempt in range(2, 22):
        claim = sample._replace(job=f"{sample.job[:-2]}.{attempt}")
        jobs.claims.append(claim)
        first.ask("claim", claim.job)
        ask_admission(first, claim.job)
        if admitted:
            first.until("admitted", claim.job)
        ask_start(first, claim.job, "exec sleep 600")
        time.sleep(attempt % 5 * (0.0003 if admitted else 0.002))
        settled = ask_settle(other, claim, void=void)["state"]
        last = first.event()
        while last["ev"] in ("claimed", "admitted"):
            last = first.event()
        if settled == "void":
            assert (last["ev"], last["kind"]) in {("refused", "void"), ("refused", "exists")}
            assert jobs.settle(claim, void=False) == {"state": "void"}
        else:
            assert settled in ({"running"} if void else {"running", "claimed", "absent"})
            assert last["ev"] == "started"
            assert ask_settle(other, claim, void=True) == {"state": "running"}
            first.ask("end", claim.job, grace_s=0, why="")


# What is damaged


@pytest.mark.parametrize("damage", [b"", b"x", b"0" * 31, b"0" * 33, b"\xff" * 32])
def test_a_damaged_birth_settles_only_what_needs_none(jobs: Lives, damage: bytes) -> None:
    over, running = ended_job(jobs), jobs.start(jobs.agent(), "sleep 600")[0]
    missing = absent(jobs, jobs.agent())
    (jobs.node.home() / "birth").write_bytes(damage)
    assert jobs.settle(over)["state"] == "ended"
    assert jobs.settle(running) == {"state": "running"}
    asker = jobs.agent()
    for op, fields in (
        ("settle", {"boot_id": missing.boot_id, "birth": missing.incarnation, "void": True}),
        ("claim", {}),
    ):
        asker.ask(op, missing.job, **fields)
        parsed = asker.event()
        assert parsed["ev"] == ("error" if op == "settle" else "refused")
        assert "`birth` in the node folder is damaged" in parsed["why"]
    assert not jobs.folder(missing).exists()


def test_an_unknown_boot_is_no_word_on_what_has_not_ended(jobs: Lives) -> None:
    over, running = ended_job(jobs), jobs.start(jobs.agent(), "sleep 600")[0]
    (jobs.node.proc / "sys/kernel/random/boot_id").unlink()
    assert jobs.settle(over)["state"] == "ended"
    asker = jobs.agent()
    for _ in range(2):  # it is not as if the job had been refused
        asker.ask("settle", running.job, boot_id=running.boot_id, birth=running.incarnation, void=True)
        assert asker.event() == {
            "ev": "error",
            "why": f"{running.job}: boot_id: No such file or directory",
            "job": running.job,
        }
    jobs.node.boot()
    assert ask_settle(asker, running, void=True) == {"state": "running"}


NO_EXIT = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"[" * 4000,
    b'{"end":{}}',
    b'{"end":{"kind":"dance"},"seconds":1,"usage":null,"warnings":[]}',
    b'{"end":{"kind":["exited"]},"seconds":1,"usage":null,"warnings":[]}',
    b'{"end":{"kind":"exited","rc":"0"},"seconds":1,"usage":null,"warnings":[]}',
    b'{"end":{"kind":"timeout"},"seconds":1,"usage":null,"warnings":[],"job":"x"}',
    b'{"end":{"kind":"timeout"},"seconds":1,"usage":null,"warnings":[1]}',
    b'{"end":{"kind":"timeout"},"seconds":1e999,"usage":null,"warnings":[]}',
]


@pytest.mark.parametrize("content", NO_EXIT, ids=lambda content: str(content[:70]))
def test_an_end_that_cannot_be_meant_is_none(content: bytes) -> None:
    assert parse_record(content) is None


def test_an_end_that_is_not_json_is_replaced_once_and_for_all(jobs: Lives) -> None:
    claim = ended_job(jobs)
    (jobs.folder(claim) / "exit").write_text("{")
    parsed = jobs.settle(claim)
    assert parsed["record"]["end"] == KILLED
    assert parsed == jobs.settle(claim)
    assert collect(jobs.agent(), claim.job)[2]["end"] == KILLED


def forged(content: str) -> Callable[[Path], Any]:
    return lambda fate: fate.symlink_to(content)


@pytest.mark.parametrize(
    "forge",
    [Path.touch, Path.mkdir, forged("/etc"), forged("nonsense"), forged(" void"), forged("voided")],
)
def test_a_damaged_fate_may_have_been_a_start(jobs: Lives, forge: Callable[[Path], Any]) -> None:
    claim, supervisor = jobs.start(jobs.agent(), ONCE)
    fate = jobs.folder(claim) / "fate"
    fate.unlink()
    forge(fate)
    assert jobs.settle(claim) == {"state": "running"}
    assert collect(jobs.agent(), claim.job, stop="now")[2]["ev"] == "current"
    kill(supervisor)
    parsed = jobs.settle(claim)
    assert parsed["record"]["end"] == KILLED
    assert parsed == jobs.settle(claim)


def test_a_claim_with_a_damaged_fate_is_not_started(jobs: Lives) -> None:
    first = jobs.agent()
    claim = jobs.admit(first)
    (jobs.folder(claim) / "fate").touch()
    ask_start(first, claim.job, ONCE, chdir=str(jobs.node.base))
    assert first.until_refused(claim.job)["kind"] == "void"
    assert marks_in(jobs.node.base / "ran") == 0


def test_a_file_in_place_of_the_folder_is_an_error_and_no_answer(jobs: Lives) -> None:
    claim = absent(jobs, jobs.agent())
    jobs.folder(claim).touch()
    asker = jobs.agent()
    asker.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
    assert asker.event() == {"ev": "error", "why": f"{claim.job}: Not a directory", "job": claim.job}


# The lab's clock stops between two steps


@pytest.mark.parametrize(
    ("point", "dies", "state", "end", "ran"),
    [
        ("claimed", "agent", "void", None, 0),
        ("admitted", "supervisor", "void", None, 0),
        ("sealed", "supervisor", "ended", KILLED, 0),
        ("forked", "supervisor", "ended", KILLED, 1),
        ("over", "supervisor", "ended", KILLED, 1),
        ("kept", "supervisor", "ended", {"kind": "exited", "rc": 7}, 1),
    ],
)
@pytest.mark.parametrize("agent", ["alive", "dead"])
def test_killed_between_two_steps(
    jobs: Lives, point: str, dies: str, state: str, end: dict[str, object] | None, ran: int, agent: str
) -> None:
    sample = jobs.claim(jobs.agent())
    first = jobs.agent(CLBALANCE_FAIL_AT=point)
    claim = sample._replace(job=sample.job[:-1] + "2")
    jobs.claims.append(claim)
    first.ask("claim", claim.job)
    if dies == "supervisor":
        ask_admission(first, claim.job)
        first.until("claimed")
        if point != "admitted":
            first.until("admitted")
            ask_start(first, claim.job, "echo x >> ran; exit 7", chdir=str(jobs.node.base))
            if agent == "dead":
                first.ask("resume", claim.job)  # an error: the start has been passed on
                while first.event()["ev"] != "error":
                    pass
                first.process.kill()
        eventually(lambda: jobs.node.leases() and not jobs.supervisor_of(claim.job))
    else:
        first.process.wait()
    parsed = jobs.settle(claim)
    assert parsed["state"] == state
    assert parsed.get("record", {}).get("end") == end
    assert not carriers(claim.job)
    assert parsed == jobs.settle(claim)
    assert marks_in(jobs.node.base / "ran") <= ran
    late = jobs.agent()
    late.ask("claim", claim.job)
    assert late.until_refused(claim.job)["kind"] == "exists"
    jobs.admit(late)
    assert marks_in(jobs.node.base / "ran") <= ran


@pytest.mark.parametrize("point", ["sealed", "forked", "over", "kept"])
def test_the_agent_of_a_supervisor_that_is_killed_tells_what_who_settles_would(jobs: Lives, point: str) -> None:
    first = jobs.agent(CLBALANCE_FAIL_AT=point)
    claim = jobs.admit(first)
    first.ask("follow", claim.job, window=1)
    ask_start(first, claim.job, "exit 7")
    ended = first.until("ended", claim.job)
    assert ended["end"] == ({"kind": "exited", "rc": 7} if point == "kept" else KILLED)
    parsed = jobs.settle(claim)["record"]
    assert {key: ended[key] for key in parsed} == {**parsed, "seconds": ended["seconds"]}


def test_what_was_refused_in_this_session_can_be_settled_in_it(jobs: Lives) -> None:
    client = jobs.agent()
    claim = jobs.admit(client)
    client.ask("end", claim.job, grace_s=0, why="told to")
    client.until_refused(claim.job)
    assert ask_settle(client, claim, void=False) == {"state": "claimed"}
    assert ask_settle(client, claim, void=True) == {"state": "void"}
