"""The agent runs under Python 3.6 and everything since: by its grammar, by what it takes from the library, and in fact."""

import ast
import os
import shutil
import sys
from pathlib import Path

import pytest
import vermin

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.node import agent_source
from clbalance.node.packing import loader_source, sources_of

from .agent_client import NONCE, AgentClient, plain
from .lives import Claim, ask_admission, ask_settle, ask_start, collect, new_job

OLDEST = (3, 6)


def pythons() -> list[str]:
    """Every python3 of this machine: the oldest and the newest tell most."""
    found = [sys.executable, *(shutil.which(f"python3.{minor}") or "" for minor in range(6, 15))]
    found += map(str, (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3"))
    return [path for path in found if path and "shims" not in path]  # pyenv's stand-ins for what is not switched on


def needed_by(source: str) -> tuple[int, ...]:
    """The oldest Python 3 that has all that it uses of the language and of the standard library."""
    return tuple(vermin.detect(source)[1])


SOURCES = {"loader": loader_source()}
SOURCES |= {name: source for program in ("agent", "files") for name, source in sources_of(program).items() if source}


@pytest.mark.parametrize("name", SOURCES)
def test_every_module_for_nodes_is_python_3_6_with_its_library(name: str) -> None:
    ast.parse(SOURCES[name], feature_version=OLDEST)
    assert needed_by(SOURCES[name]) <= OLDEST


@pytest.mark.parametrize(
    "younger",
    [
        "import contextvars",
        "import subprocess\nsubprocess.run(['true'], capture_output=True)",
        "import time\ntime.time_ns()",
    ],
)
def test_one_that_did_would_be_noticed(younger: str) -> None:
    assert needed_by(younger) > OLDEST


@pytest.mark.parametrize("python", pythons())
def test_a_job_runs_under_every_python_there_is(tmp_path: Path, python: str) -> None:
    with AgentClient(tmp_path, command=plain(python)) as client:
        version = client.until("hello")["python"]
        assert [int(part) for part in version.split(".")] >= [*OLDEST, 0]
        ran = client.run(script=b"cat; exit 3", stdin="grüße".encode(), time_limit_s=20)
    assert (ran["stdout"], ran["end"]) == ("grüße".encode(), {"kind": "exited", "rc": 3})


@pytest.mark.parametrize("python", pythons())
def test_a_job_outlives_its_agent_and_is_followed_ended_and_settled_under_every_python_there_is(
    tmp_path: Path, python: str
) -> None:
    with AgentClient(tmp_path, command=plain(python)) as first:
        job = new_job()
        first.ask("claim", job)
        parsed = first.until("claimed", job)
        ask_admission(first, job)
        ask_start(first, job, "trap '' TERM; echo up; while :; do sleep 0.1; done", chdir=str(tmp_path))
        first.until("started", job)
    with AgentClient(tmp_path, command=plain(python)) as second:
        second.until("hello")
        second.ask("end", job, grace_s=0.2, why="enough")
        stdout, _, end = collect(second, job)
    assert (stdout, end["end"]) == (b"up\n", {"kind": "cancelled", "why": "enough"})
    with AgentClient(tmp_path, command=plain(python)) as third:
        third.until("hello")
        settled = ask_settle(third, Claim(job, parsed["boot_id"], parsed["birth"]), void=True)
    assert (settled["state"], settled["record"]["end"]) == ("ended", end["end"])


def test_a_job_runs_from_the_packed_text_under_every_python_there_is(tmp_path: Path) -> None:
    for python in pythons():
        text = bootstrap(NONCE, agent_source()).replace(b"exec python3", b"exec " + os.fsencode(python), 1)
        with AgentClient(tmp_path, command=["sh", "-s"]) as client:
            client.send(text)
            client.until("hello")
            job = client.admit(cpus=1, capacity={"cpus": 10_000, "slots": 4}, slots=1)
            client.ask("follow", job, window=9)
            client.ask("start", job, spec={"argv": ["true"]})
            assert client.until("ended", job)["end"] == {"kind": "exited", "rc": 0}
