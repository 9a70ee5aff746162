"""Slots of a node, as a client sees them."""

import json
from typing import Any

from .agent_client import NOTHING, AgentClient
from .lives import Claim, Lives, collect

STREAMS = ["stdout", "stderr", "log"]


class Slots(Lives):
    """Slots of a node; `words` of a task come behind `sh -c`."""

    def open(self, client: AgentClient, argv: tuple[str, ...] = ("sh", "-c"), wait: bool = True, **spec: Any) -> Claim:
        claim = self.claim(client)
        client.ask("admit", claim.job, lease=NOTHING, capacity={"cpus": None, "slots": None}, tasks=True)
        client.until("admitted", claim.job)
        client.ask("start", claim.job, spec={"argv": list(argv), "chdir": str(self.node.base), **spec})
        if wait:
            client.until("started", claim.job)
        return claim

    def give(self, client: AgentClient, claim: Claim, *tasks: tuple[int, str]) -> None:
        client.ask("tasks", claim.job, tasks=[[number, [text]] for number, text in tasks])

    def log(self, claim: Claim) -> list[list[Any]]:
        return entries((self.folder(claim) / "log").read_bytes())


def entries(log: bytes) -> list[list[Any]]:
    """Those that are whole: a disk that is full tears the last."""
    return [json.loads(line) for line in log.split(b"\n")[:-1]]


def ends(log: list[list[Any]]) -> dict[int, dict[str, Any]]:
    return {entry[1]: entry[2] for entry in log if entry[0] == "e"}


def follow_to_the_end(client: AgentClient, claim: Claim) -> tuple[bytes, bytes, list[list[Any]], dict[str, Any]]:
    client.output[claim.job, "log"] = bytearray()
    stdout, stderr, ended = collect(client, claim.job, streams=STREAMS)
    return stdout, stderr, entries(bytes(client.output[claim.job, "log"])), ended
