"""The life of untied jobs, as several agents of one node see it; whatever is left of them is ended."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from clbalance.node.agent.tree import carrying, kill_carriers, read_processes

from .agent_client import NOTHING, WAIT_S, AgentClient, gone, new_job, tells_of_removed_output
from .nodes import Node, locker_of

WITHIN_S = 60.0  # for what takes a moment, on a machine with other work


class Claim(NamedTuple):
    """A job's name, and what its claim told: where it may be started."""

    job: str
    boot_id: str
    incarnation: str


class Lives:
    """Agents of one node that come and go; jobs of theirs that stay."""

    def __init__(self, node: Node, stack: ExitStack) -> None:
        self.node = node
        self.stack = stack
        self.claims: list[Claim] = []

    def agent(self, **env: str) -> AgentClient:
        client = self.stack.enter_context(self.node.client(**env))
        client.until("hello")
        return client

    def claim(self, client: AgentClient) -> Claim:
        job = new_job()
        client.ask("claim", job)
        parsed = client.until("claimed", job)
        self.claims.append(Claim(job, parsed["boot_id"], parsed["birth"]))
        return self.claims[-1]

    def admit(self, client: AgentClient) -> Claim:
        claim = self.claim(client)
        ask_admission(client, claim.job)
        client.until("admitted", claim.job)
        return claim

    def start(self, client: AgentClient, script: str, **spec: Any) -> tuple[Claim, int]:
        """An untied job that runs, and the pid of its supervisor. Nobody follows it."""
        claim = self.admit(client)
        supervisor = self.supervisor_of(claim.job)
        ask_start(client, claim.job, script, chdir=str(self.node.base), **spec)
        client.until("started", claim.job)
        return claim, supervisor

    def supervisor_of(self, job: str) -> int:
        return locker_of(self.node.lease_of(job))

    def folder(self, claim: Claim) -> Path:
        return self.node.home() / "jobs" / claim.job

    def settle(self, claim: Claim, *, void: bool = True) -> dict[str, Any]:
        """What a fresh agent answers."""
        with self.node.client() as fresh:
            fresh.until("hello")
            return ask_settle(fresh, claim, void=void)

    def end_all(self) -> None:
        for claim in self.claims:
            for lease in self.node.base.glob(f"clbalance-*/lease-{claim.job}"):
                with suppress(OSError):
                    pid = locker_of(lease)
                    if pid:
                        os.kill(pid, signal.SIGKILL)
            kill_carriers(claim.job)


@contextmanager
def lives_on(node: Node) -> Iterator[Lives]:
    with ExitStack() as stack:
        lives = Lives(node, stack)
        try:
            yield lives
        finally:
            lives.end_all()


def ask_admission(client: AgentClient, job: str) -> None:
    client.ask("admit", job, lease=NOTHING, capacity={"cpus": None, "slots": None})


def ask_start(client: AgentClient, job: str, script: str, **spec: Any) -> None:
    client.ask("start", job, spec={"argv": ["sh", "-c", script], **spec})


def ask_settle(client: AgentClient, claim: Claim, *, void: bool) -> dict[str, Any]:
    """The answer, without how long it has been running (`ask_running_s`)."""
    parsed = _ask_settle(client, claim, void=void)
    parsed.pop("seconds", None)
    return parsed


def ask_running_s(client: AgentClient, claim: Claim) -> float:
    parsed = _ask_settle(client, claim, void=False)
    assert parsed["state"] == "running"
    return float(parsed["seconds"])


def _ask_settle(client: AgentClient, claim: Claim, *, void: bool) -> dict[str, Any]:
    client.ask("settle", claim.job, boot_id=claim.boot_id, birth=claim.incarnation, void=void)
    parsed = client.event()
    assert parsed.pop("ev") == "settled", parsed
    assert parsed.pop("job") == claim.job
    return parsed


def begin_to_follow(client: AgentClient, job: str, **wanted: Any) -> None:
    """What is not asked for counts as had."""
    for stream in ("stdout", "stderr"):
        client.output[job, stream] = bytearray(wanted.get(stream, 0))
    client.ask("follow", job, **{"window": 1 << 20, **wanted})


def collect(client: AgentClient, job: str, **wanted: Any) -> tuple[bytes, bytes, dict[str, Any]]:
    """What `follow` brings of both streams from where it was asked for, and the event that ends it."""
    begin_to_follow(client, job, **wanted)
    while (event := client.event())["ev"] == "output" or tells_of_removed_output(event):
        assert event["job"] == job
    stdout, stderr = (client.output[job, name][wanted.get(name, 0) :] for name in ("stdout", "stderr"))
    return bytes(stdout), bytes(stderr), event


def marks_in(file: Path) -> int:
    """How many times a job ran, by the lines that it appends there."""
    return len(file.read_text().splitlines()) if file.exists() else 0


def carriers(job: str) -> set[int]:
    return carrying(job.encode(), read_processes())


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert gone(list(pids), WAIT_S)
