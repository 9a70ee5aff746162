"""`status`: how a job stands now, and what all that it has started takes, told by whichever agent is asked."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.node.agent_client import AgentClient, new_job
from tests.node.lives import Lives, collect
from tests.waiting import SOON_S, eventually

MIB = 1 << 20
BURN = f"{sys.executable} -c 'import time\nwhile time.process_time() < 0.3: pass'"
NOTHING_TOLD = {"pid": None, "seconds": None, "processes": None, "user_s": None, "system_s": None, "mem_bytes": None}


def status(client: AgentClient, job: str) -> dict[str, Any]:
    client.ask("status", job)
    parsed = client.event()
    assert (parsed.pop("ev"), parsed.pop("job")) == ("status", job)
    return parsed


def test_a_running_job_is_told_with_its_first_process_and_its_age(jobs: Lives) -> None:
    agent = jobs.agent()
    claim, supervisor = jobs.start(agent, "sleep 600 & exec sleep 600")
    first = eventually(lambda: status(agent, claim.job)["processes"] == 2 and status(agent, claim.job))
    assert (first["state"], psutil.Process(first["pid"]).ppid()) == ("running", supervisor)
    later = eventually(lambda: (now := status(agent, claim.job))["seconds"] > first["seconds"] and now)
    assert 0 <= first["seconds"] < later["seconds"] < SOON_S


def cpu_s(parsed: dict[str, Any]) -> float:
    return float(parsed["user_s"] + parsed["system_s"])


def test_cpu_time_counts_what_has_ended_and_what_left_its_parent(jobs: Lives) -> None:
    agent = jobs.agent()
    script = f"{BURN}; (setsid {BURN} &) ; {BURN} & wait; touch burnt; sleep 600"
    claim, _ = jobs.start(agent, script)
    eventually((jobs.node.base / "burnt").exists)
    eventually(lambda: status(agent, claim.job)["processes"] == 2)
    # What left its parent counts when the supervisor has reaped it, which comes a moment after its end.
    used_s = eventually(lambda: (used := cpu_s(status(agent, claim.job))) >= 0.85 and used)
    assert used_s < 5


def test_memory_is_what_the_whole_tree_has_now_and_shared_pages_count_once(jobs: Lives) -> None:
    agent = jobs.agent()
    holder = (
        "import os, time; kept = bytearray(os.urandom(1)) * (64 << 20); open('held', 'w').close(); "
        "os.fork(); time.sleep(600)"
    )
    claim, _ = jobs.start(agent, f'exec {sys.executable} -I -S -c "{holder}"')
    parsed = eventually(lambda: (now := status(agent, claim.job))["processes"] == 2 and now)
    assert 64 * MIB <= parsed["mem_bytes"] < 110 * MIB


def test_any_later_agent_of_the_owner_can_ask_and_the_job_is_as_it_was(jobs: Lives) -> None:
    first = jobs.agent()
    claim, supervisor = jobs.start(first, "exec sleep 600")
    with jobs.node.client() as other:
        other.until("hello")
        parsed = status(other, claim.job)
        assert (parsed["state"], parsed["processes"]) == ("running", 1)
        other.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=True)
        assert other.event()["state"] == "running"
    assert jobs.supervisor_of(claim.job) == supervisor


def test_a_job_that_removed_its_folder_is_told_by_its_lease(jobs: Lives) -> None:
    agent = jobs.agent()
    claim, _ = jobs.start(agent, 'rm -r "$CLBALANCE_JOB_DIR"; touch gone; exec sleep 600')
    eventually((jobs.node.base / "gone").exists)
    assert status(agent, claim.job)["state"] == "running"


def test_an_ended_job_is_told_by_its_record(jobs: Lives) -> None:
    agent = jobs.agent()
    claim, _ = jobs.start(agent, BURN)
    collect(agent, claim.job)
    parsed = status(agent, claim.job)
    assert (parsed["state"], parsed["pid"], parsed["processes"], parsed["mem_bytes"]) == ("ended", None, 0, None)
    assert parsed["user_s"] + parsed["system_s"] >= 0.25
    assert parsed["seconds"] > 0


def test_a_job_whose_supervisor_was_killed_is_not_told_as_running(jobs: Lives) -> None:
    agent = jobs.agent()
    claim, supervisor = jobs.start(agent, "sleep 600")
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: (now := status(agent, claim.job))["state"] == "ended" and now)["mem_bytes"] is None


def test_what_never_started_here_takes_nothing(jobs: Lives) -> None:
    agent = jobs.agent()
    assert status(agent, new_job()) == {"state": "absent", **NOTHING_TOLD}
    claim = jobs.admit(agent)
    assert status(agent, claim.job) == {"state": "claimed", **NOTHING_TOLD}
    agent.ask("end", claim.job, grace_s=0, why="enough")
    agent.until_refused(claim.job)
    assert status(agent, claim.job)["state"] == "claimed"
    jobs.settle(claim)
    assert status(agent, claim.job) == {"state": "void", **NOTHING_TOLD}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel is older than 4.14")
def test_pages_that_two_processes_share_are_divided_among_them() -> None:
    from clbalance.node.agent.job.settle import pss, rss

    assert 0 < (pss(os.getpid()) or 0) <= rss(os.getpid()) + MIB
    assert (pss(2**22 + 1), rss(2**22 + 1)) == (None, 0)
