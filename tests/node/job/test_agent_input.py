"""Standard input that comes while the job runs: all of it, in order, and its end only when it is complete."""

import base64
import hashlib
import os
import subprocess
from collections.abc import Callable

import pytest

from tests.node.agent_client import AgentClient, gone, lives
from tests.node.lives import WITHIN_S, Lives, begin_to_follow, collect
from tests.node.test_agent_tree import close_input
from tests.waiting import eventually

READS = "cat > read; touch saw_end"


def feed(client: AgentClient, job: str, data: bytes, *, complete: bool = False) -> None:
    client.ask("input", job, data=base64.b64encode(data).decode(), complete=complete)


def taken(client: AgentClient, job: str, size: int) -> None:
    while (event := client.until("taken", job))["size"] < size:
        assert not event["over"]


def test_it_arrives_unchanged_and_ends_when_it_is_complete(jobs: Lives) -> None:
    content = os.urandom(1_000_000)
    client = jobs.agent()
    claim, _ = jobs.start(client, "sha256sum", input=True)
    for start in range(0, len(content), 48 << 10):
        feed(client, claim.job, content[start : start + (48 << 10)])
    feed(client, claim.job, b"", complete=True)
    while not client.until("taken", claim.job)["over"]:
        pass
    stdout, _, ended = collect(client, claim.job)
    assert stdout.split()[0].decode() == hashlib.sha256(content).hexdigest()
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_a_job_that_reads_nothing_takes_a_pipe_full_and_ends(jobs: Lives) -> None:
    client = jobs.agent()
    claim, _ = jobs.start(client, "until [ -e go ]; do sleep 0.02; done", input=True)
    feed(client, claim.job, bytes(1 << 20))
    taken(client, claim.job, 1 << 16)
    (jobs.node.base / "go").touch()
    begin_to_follow(client, claim.job)
    assert client.until("ended", claim.job)["end"] == {"kind": "exited", "rc": 0}


def test_it_is_told_that_a_job_reads_no_more(jobs: Lives) -> None:
    client = jobs.agent()
    claim, supervisor = jobs.start(client, "exec <&-; until [ -e go ]; do sleep 0.02; done", input=True)
    while not client.until("taken", claim.job)["over"]:
        pass
    feed(client, claim.job, b"dropped")
    close_input(client.process)
    client.process.wait(WITHIN_S)
    assert lives(supervisor)  # it does not need its agent any more
    (jobs.node.base / "go").touch()
    assert gone([supervisor])


LEAVE = [close_input, subprocess.Popen.kill, subprocess.Popen.terminate]


@pytest.mark.parametrize("leave", LEAVE)
def test_it_never_ends_early_when_the_agent_goes(
    jobs: Lives, leave: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    client = jobs.agent()
    claim, supervisor = jobs.start(client, READS, input=True)
    feed(client, claim.job, b"a part")
    taken(client, claim.job, 6)
    eventually(lambda: (jobs.node.base / "read").read_bytes() == b"a part")
    leave(client.process)
    assert gone([supervisor])
    assert not (jobs.node.base / "saw_end").exists()
    _, _, ended = collect(jobs.agent(), claim.job)
    why = "its standard input broke off: the connection to the node ended"
    assert ended["end"] == {"kind": "cancelled", "why": why}


@pytest.mark.parametrize("leave", LEAVE)
def test_a_job_that_has_all_of_it_runs_on(jobs: Lives, leave: "Callable[[subprocess.Popen[bytes]], None]") -> None:
    client = jobs.agent()
    claim, _ = jobs.start(client, f"{READS}; until [ -e go ]; do sleep 0.02; done; echo done", input=True)
    feed(client, claim.job, b"all", complete=True)
    while not client.until("taken", claim.job)["over"]:
        pass
    leave(client.process)
    eventually((jobs.node.base / "saw_end").exists)
    (jobs.node.base / "go").touch()
    assert collect(jobs.agent(), claim.job)[0] == b"done\n"
