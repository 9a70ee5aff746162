"""Modules are loaded late, but never so late that a running job could miss one."""

from pathlib import Path
from typing import Any

import pytest

from tests.node.agent_client import NOTHING, AgentClient, new_job, plain
from tests.node.lives import Claim, ask_admission, ask_settle, ask_start, begin_to_follow
from tests.node.nodes import locker_of
from tests.node.slots import follow_to_the_end

# Writes down each import of a module that is not loaded yet, and each start of a process.
WATCH = """\
import os, sys
def heard(event, args):
    if event in ("import", "os.fork", "os.posix_spawn"):
        fd = os.open(%r, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, b"%%d %%s %%s\\n" %% (os.getpid(), event.encode(), repr(args[:1]).encode()))
        os.close(fd)
sys.addaudithook(heard)"""

STUBBORN = "trap '' TERM; (setsid sh -c \"trap '' TERM; sleep 600; :\" &); while :; do sleep 0.05; done"


def admit(client: AgentClient, *, tasks: bool = False, **lease: Any) -> Claim:
    job = new_job()
    client.ask("claim", job)
    claimed = client.until("claimed", job)
    client.ask("admit", job, lease={**NOTHING, **lease}, capacity={"cpus": 99, "slots": None}, tasks=tasks)
    client.until("admitted", job)
    return Claim(job, claimed["boot_id"], claimed["birth"])


def supervisor_of(node_dir: Path, job: str) -> int:
    (lease,) = node_dir.glob(f"clbalance-*/lease-{job}")
    return locker_of(lease)


def after_its_first_process(log: Path, supervisor: int) -> list[str]:
    """What the supervisor has imported after the start of its job."""
    events = [line.split(" ", 1)[1] for line in log.read_text().splitlines() if line.startswith(f"{supervisor} ")]
    start = next(at for at, event in enumerate(events) if event.startswith("os."))
    return [event for event in events[start:] if event.startswith("import")]


@pytest.mark.parametrize(
    ("lease", "spec", "kind"),
    [
        ({}, {"time_limit_s": 0.2, "grace_s": 0.1}, "timeout"),
        ({"limit_cpus": 1, "cpus": 1}, {"time_limit_s": 0.2, "grace_s": 0.1}, "timeout"),
        ({"limit_mem_bytes": 1 << 18}, {"grace_s": 0.1}, "out_of_memory"),
        ({}, {"grace_s": 0.1, "input": True}, "cancelled"),
    ],
    ids=["a time limit", "a limit of cpus", "a limit of memory", "an order"],
)
def test_a_supervisor_imports_nothing_once_its_job_runs(
    tmp_path: Path, lease: dict[str, Any], spec: dict[str, Any], kind: str
) -> None:
    log = tmp_path / "log"
    with AgentClient(tmp_path, command=plain(first=WATCH % str(log))) as client:
        job = admit(client, **lease).job
        supervisor = supervisor_of(tmp_path, job)
        ask_start(client, job, STUBBORN, tied=True, **spec)
        client.until("started", job)
        if kind == "cancelled":
            client.ask("signal", job, signal=15)
            client.ask("end", job, grace_s=0.1, why="enough")
        begin_to_follow(client, job)
        assert client.until("ended", job)["end"]["kind"] == kind
    assert after_its_first_process(log, supervisor) == []


def test_the_supervisor_of_a_slot_imports_nothing_once_tasks_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with AgentClient(tmp_path, command=plain(first=WATCH % str(log))) as client:
        slot = admit(client, tasks=True)
        supervisor = supervisor_of(tmp_path, slot.job)
        client.ask("start", slot.job, spec={"argv": ["sh", "-c"]})
        client.until("started", slot.job)
        client.ask("tasks", slot.job, tasks=[[0, ["exit 3"]], [1, ["(setsid sleep 600 &)"]]])
        client.ask("finish", slot.job)
        assert follow_to_the_end(client, slot)[3]["end"] == {"kind": "exited", "rc": 0}
    assert after_its_first_process(log, supervisor) == []


def without(module: str) -> list[str]:
    return plain(first=f"import sys; sys.modules[{module!r}] = None")


def test_a_job_is_refused_where_a_module_is_missing_and_the_agent_goes_on(tmp_path: Path) -> None:
    with AgentClient(tmp_path, command=without("fcntl")) as client:
        job = new_job()
        client.ask("claim", job)
        ask_admission(client, job)
        refused = client.until_refused(job)
        assert (refused["kind"], refused["why"]) == (
            "resources",
            "python3: import of fcntl halted; None in sys.modules",
        )
        assert client.ask_node("ping") == {"ev": "alive"}


def test_a_job_whose_module_is_missing_at_its_start_is_void(tmp_path: Path) -> None:
    with AgentClient(tmp_path, command=without("termios")) as client:
        claim = admit(client)
        client.ask("start", claim.job, spec={"argv": ["true"], "pty": {"rows": 5, "columns": 5}})
        assert "termios" in client.until_refused(claim.job)["why"]
        assert ask_settle(client, claim, void=False)["state"] == "void"


def test_a_request_whose_module_is_missing_is_an_error_and_harms_nothing(tmp_path: Path) -> None:
    with AgentClient(tmp_path, command=without("clbalance.node.agent.reap")) as client:
        error = client.ask_node("reap", keep_s=0, apply=False)
        assert (error["ev"], "clbalance.node.agent.reap" in error["why"]) == ("error", True)
        assert client.run(argv=["true"])["end"] == {"kind": "exited", "rc": 0}
