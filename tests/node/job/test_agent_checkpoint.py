"""A job that is told to checkpoint, and a lease that is kept for as long as that takes."""

import os
import signal
from pathlib import Path

import pytest

from tests.node.agent_client import AgentClient, gone
from tests.node.lives import Claim, Lives, ask_start, collect
from tests.waiting import eventually

USR1 = int(signal.SIGUSR1)
SAVES = """
save() { echo saved > state.new; mv state.new state; }
trap save USR1
touch ready
while :; do sleep 0.02; done
"""


def saving_job(jobs: Lives, text: str = SAVES, **spec: object) -> Claim:
    claim, _ = jobs.start(jobs.agent(), text, **spec)
    eventually((jobs.node.base / "ready").exists)
    return claim


def told_within(client: AgentClient, wait_s: float) -> bool:
    """Whether the client is told that a checkpoint is there."""
    line = client.line(wait_s)
    return line is not None and b'"checkpointed"' in line


@pytest.mark.parametrize("before", ["nothing", "an older one"])
@pytest.mark.parametrize("named", ["state", "./state", "absolute"])
def test_a_file_that_is_written_anew_is_told(jobs: Lives, before: str, named: str) -> None:
    state = jobs.node.base / "state"
    if before != "nothing":
        state.write_text("saved\n")
    claim = saving_job(jobs)
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file=str(state) if named == "absolute" else named)
    assert late.until("checkpointed")["job"] == claim.job
    assert state.read_text() == "saved\n"


def test_a_file_that_stays_as_it_was_is_not(jobs: Lives) -> None:
    (jobs.node.base / "state").write_text("old")
    claim = saving_job(jobs, "trap : USR1; touch ready; while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file="state")
    assert not told_within(late, 2.0)


def test_a_file_that_still_grows_is_not_there_yet(jobs: Lives) -> None:
    text = "go() { while [ ! -e enough ]; do echo x >> state; sleep 0.05; done; }; trap go USR1; touch ready;"
    claim = saving_job(jobs, f"{text} while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file="state")
    eventually((jobs.node.base / "state").exists)
    assert not told_within(late, 2.0)
    (jobs.node.base / "enough").touch()
    late.until("checkpointed", claim.job)


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling"])
def test_what_is_no_file_is_none(jobs: Lives, kind: str) -> None:
    make = {"folder": "mkdir state", "fifo": "mkfifo state", "dangling": "ln -s nowhere state"}[kind]
    claim = saving_job(jobs, f"trap '{make}' USR1; touch ready; while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file="state")
    eventually(lambda: os.path.lexists(jobs.node.base / "state"))
    assert not told_within(late, 1.6)


def test_a_link_that_points_elsewhere_now_is_news(jobs: Lives) -> None:
    for name in ("one", "two"):
        (jobs.node.base / name).write_text(name)
    (jobs.node.base / "latest").symlink_to("one")
    claim = saving_job(jobs, "trap 'ln -sfn two latest' USR1; touch ready; while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file="latest")
    late.until("checkpointed", claim.job)


def test_without_a_file_the_signal_is_all(jobs: Lives) -> None:
    claim = saving_job(jobs, "trap 'exit 85' USR1; touch ready; while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1)
    assert collect(late, claim.job)[2]["end"] == {"kind": "exited", "rc": 85}


def test_a_job_that_ends_first_is_told_as_ended(jobs: Lives) -> None:
    claim = saving_job(jobs, "trap 'echo x > state; exit 85' USR1; touch ready; while :; do sleep 0.02; done")
    late = jobs.agent()
    late.ask("checkpoint", claim.job, signal=USR1, file="state")
    assert collect(late, claim.job)[2]["end"] == {"kind": "exited", "rc": 85}
    assert not told_within(late, 1.6)


def test_what_cannot_be_meant_is_told_and_sends_nothing(jobs: Lives) -> None:
    claim = saving_job(jobs)
    late = jobs.agent()
    for fields in ({"signal": 0}, {"signal": USR1, "file": "a\0b"}, {"signal": USR1, "file": 7}, {}):
        late.ask("checkpoint", claim.job, **fields)
        assert late.event()["ev"] == "error"
    assert not (jobs.node.base / "state").exists()


def test_a_lease_that_is_kept_outlives_its_time(jobs: Lives) -> None:
    agent = jobs.agent(CLBALANCE_RESERVE_S="1")
    claim = jobs.admit(agent)
    for _ in range(8):
        assert agent.line(0.25) is None
        agent.ask("keep", claim.job)
        assert agent.event()["ev"] == "kept"
    ask_start(agent, claim.job, "exit 3", chdir=str(jobs.node.base))
    agent.until("started", claim.job)
    assert collect(jobs.agent(), claim.job)[2]["end"] == {"kind": "exited", "rc": 3}


def test_one_that_is_not_expires(jobs: Lives) -> None:
    agent = jobs.agent(CLBALANCE_RESERVE_S="1")
    claim = jobs.admit(agent)
    supervisor = jobs.supervisor_of(claim.job)
    parsed = agent.event()
    assert (parsed["ev"], parsed["kind"]) == ("refused", "expired")
    agent.ask("keep", claim.job)  # what comes too late is not answered
    assert agent.line(0.3) is None
    assert gone([supervisor])


def test_only_what_was_admitted_and_not_started_is_kept(jobs: Lives, tmp_path: Path) -> None:
    agent = jobs.agent()
    claim = jobs.claim(agent)
    agent.ask("keep", claim.job)
    assert agent.event()["why"] == f"keep: {claim.job} was not admitted"
    started, _ = jobs.start(agent, "sleep 60")
    agent.ask("keep", started.job)
    assert agent.event()["why"] == f"keep: {started.job} was started before"
