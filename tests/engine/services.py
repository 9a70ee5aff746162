"""A world without processes: scripted nodes, a clock that is moved, listeners that note down."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clbalance.engine.services import Services
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, Payload, Script
from clbalance.model.job_record import Outcome
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.scripted import HangUp, Later, ScriptedNode, ScriptedTransport

PROBE = "probe @NONCE@"
AGENT = "the agent's source"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class TransportClock:
    """Time as the scripted transport moves it."""

    transport: ScriptedTransport

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.transport.clock_s)

    def monotonic(self) -> float:
        return self.transport.clock_s

    def pause(self, seconds: float) -> None:
        self.transport.clock_s += seconds


@dataclass
class Notes:
    """Listens to sweeps and runs, and keeps what it was told."""

    total: int = 0
    answered_nodes: list[NodeName] = field(default_factory=list)
    awaited: list[set[NodeName]] = field(default_factory=list)
    finished: int = 0
    forgotten: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    running: list[NodeName] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    warnings: list[tuple[NodeName, str]] = field(default_factory=list)
    printed: dict[tuple[NodeName, str], bytes] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    cut: list[NodeName] = field(default_factory=list)
    on_output: Callable[[], None] = lambda: None

    def asked(self, total: int) -> None:
        self.total = total

    def answered(self, node: NodeName) -> None:
        self.answered_nodes.append(node)

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        self.awaited.append(set(nodes))

    def done(self) -> None:
        self.finished += 1

    def store_failed(self, reason: str) -> None:
        self.forgotten.append(reason)

    def waiting(self, reason: str) -> None:
        self.reasons.append(reason)

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self.reasons.append(f"{node}: {reason}")

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self.plans.append(plan)

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        self.running.append(node)

    def warned(self, node: NodeName, text: str) -> None:
        self.warnings.append((node, text))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self.printed[node, stream] = self.printed.get((node, stream), b"") + piece
        self.on_output()

    def cut_off(self, node: NodeName) -> None:
        self.cut.append(node)

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def world_of(nodes: Mapping[str, ScriptedNode], **changes: object) -> Services:
    """A world of these nodes; its transport is `services.transport`, its notes `services.listener`."""
    transport = ScriptedTransport({NodeName(name): node for name, node in nodes.items()})
    settings: dict[str, object] = {
        "transport": transport,
        "store": InMemoryStore(),
        "journal": InMemoryJournal(),
        "clock": TransportClock(transport),
        "listener": Notes(),
        "probe_script": PROBE,
        "agent_source": lambda: AGENT,
        "answer_within_s": 15.0,
    }
    return Services(**(settings | changes))  # type: ignore[arg-type]  # a test's own table


def probed(load: float = 0.5, python: bool = True, after: ScriptedNode = lambda _: []) -> ScriptedNode:
    """A node of 4 cpus that answers probes, and hands everything else to `after`."""

    def node(text: bytes) -> list[bytes | HangUp]:
        asked = re.fullmatch(rb"probe ([0-9a-f]{32})\n", text)
        if asked is None:
            return list(after(text))
        return [b"noise from a profile", *answer(asked[1], load, python), b"noise after it"]

    return node


def slowly(node: ScriptedNode, after_s: float) -> ScriptedNode:
    """The same node, but each of its lines comes so much later."""
    return lambda text: [Later(after_s, line) if isinstance(line, bytes) else line for line in node(text)]


def answer(nonce: bytes, load: float, python: bool = True) -> list[bytes]:
    """A probe's answer as the node's shell prints it."""
    proc = [
        f"loadavg:{load:.2f} {load:.2f} {load:.2f} 1/100 4242",
        "uptime:1000.50 4000.00",
        "stat:cpu  100 0 100 800 0 0 0 0 0 0",
        *(f"stat:cpu{number}" for number in range(4)),
        "meminfo:MemTotal: 16000000 kB",
        "meminfo:MemAvailable: 12000000 kB",
        "meminfo:SwapTotal: 0 kB",
        "meminfo:SwapFree: 0 kB",
        "sys/kernel/random/boot_id:8f0c2b1e-8f5e-4a5e-9a53-0d6d3f3f3f3f",
    ]
    pythons = ["/usr/bin/python3"] if python else []
    sections = {"proc": proc, "python": pythons}
    lines = [b"begin"]
    for name, content in sections.items():
        lines += [f"+ {name}".encode(), *(f"\0{line}".encode() for line in content), f"- {name} 0".encode()]
    lines += [b"- gpus absent", b"- marks 0", b"end"]
    return [line[1:] if line.startswith(b"\0") else nonce + b" " + line for line in lines]


@dataclass
class ScriptedAgent:
    """Speaks the agent's side of the protocol for one job; `rules` replace single answers."""

    output: bytes = b""
    end: Mapping[str, object] = field(default_factory=lambda: {"kind": "exited", "rc": 0})
    rules: Mapping[str, Callable[[dict[str, object]], list[dict[str, object]]]] = field(default_factory=dict)
    heard: list[dict[str, object]] = field(default_factory=list)
    nonce: bytes = b""
    uid: int = 0
    called_as: list[str] = field(default_factory=list)
    """The owners whom it was to become."""

    def __call__(self, text: bytes) -> list[bytes | HangUp]:
        started = re.match(rb"exec python3 -I -S /dev/fd/3 ([0-9a-f]{32})(?: ([0-9]+))? 3<<", text)
        if started:
            self.nonce = started[1]
            self.called_as += [started[2].decode()] if started[2] else []
            hello = {"ev": "hello", "protocol": 2, "python": "3.9.2", "uid": self.uid, "node_dir": "/var/tmp"}
            return [self.line(hello)]
        request = json.loads(text)
        op = request["op"]
        if op == "ping" and op not in self.rules:
            return [self.line({"ev": "alive"})]
        self.heard.append(request)
        parts = self.rules[op](request) if op in self.rules else self.usual(op, request)
        return [HangUp(**one["hang_up"]) if "hang_up" in one else self.line(one) for one in parts]  # type: ignore[arg-type]

    def usual(self, op: str, request: dict[str, object]) -> list[dict[str, object]]:  # noqa: PLR0911 - one per request
        job = {"job": request["job"]}
        match op:
            case "claim":
                return [{"ev": "claimed", **job, "boot_id": "b00t", "birth": "b1rth"}]
            case "admit":
                return [{"ev": "admitted", **job, "gpus": [], "port": 20001}]
            case "put":
                return [{"ev": "stored", **job, "file": request["file"], "size": len(str(request["data"])) * 3 // 4}]
            case "start":
                return [{"ev": "started", **job, "pid": 7, "cwd": "/", "warnings": []}]
            case "settle":
                return [{"ev": "settled", **job, "state": "running"}]
            case "follow":
                said = {"ev": "output", **job, "stream": "stdout", "offset": 0, "data": _base64(self.output)}
                return ([said] if self.output else []) + [{"ev": "ended", **job, "end": self.end, "seconds": 1.5}]
            case _:
                return []

    def line(self, event: Mapping[str, object]) -> bytes:
        return b"\x1eCLB1 " + self.nonce + b" " + json.dumps(event).encode()


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def job(work: Payload | None = None, **changes: object) -> JobSpec:
    """A job."""
    settings: dict[str, object] = {
        "id": 7,
        "key": "ab" * 16,
        "name": "train",
        "payload": work or Script(name="train.sh", content=b"#!/bin/sh\ntrue\n", args=("--fast",)),
        "chdir": "/home/u",
        "chdir_explicit": False,
        "umask": 0o027,
        "env": {"A": "1"},
        "submit_host": "login1",
        "submit_dir": "/home/u",
    }
    return JobSpec(**(settings | changes))  # type: ignore[arg-type]  # a test's own table
