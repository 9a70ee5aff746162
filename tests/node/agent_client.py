"""A small client of the agent: real processes, no ssh, every wait bounded."""

import base64
import json
import os
import re
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, Self

import psutil

from clbalance.node.packing import sources_of
from tests.leftovers import marked

_FOLDER = tempfile.TemporaryDirectory(prefix="agent-")
Path(_FOLDER.name).chmod(0o755)  # for every user
NONCE = "0123456789abcdef"
FRAME = b"\x1eCLB1 " + NONCE.encode() + b" "
WAIT_S = 60.0
NOTHING: dict[str, object] = {
    "cpus": 0,
    "mem_bytes": 0,
    "gpu_count": 0,
    "gpu_candidates": [],
    "slots": 1,
    "exclusive": False,
    "name": "test",
}
PATIENT = {"LOCK_WITHIN_S": 60, "ADMIT_WITHIN_S": 120}
"""Limits for an agent that waits at admission as long as a busy machine may take."""
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from clbalance.node.agent.serve import main; main()"


def new_job() -> str:
    return secrets.token_hex(16) + ".1"


@cache
def compiled(python: str, **limits: int) -> Path:
    """The agent's modules as that Python has compiled them, which takes two thirds of each of its starts.

    `limits` of its protocol may be lower, so that a test need not make 100,000 files.
    """
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    if limits:
        shutil.copytree(compiled(python), folder, dirs_exist_ok=True)  # with their times: only one is compiled again
        protocol = folder / "clbalance/node/agent/protocol.py"
        protocol.write_text(limited(protocol.read_text(), limits))
    else:
        for name, source in sources_of("agent").items():
            place = folder / name.replace(".", "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.with_suffix(".py") if source else place / "__init__.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(source)
    subprocess.run([python, "-I", "-S", "-m", "compileall", "-q", str(folder)], check=True, capture_output=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def limited(text: str, limits: dict[str, int]) -> str:
    for name, limit in limits.items():
        text, count = re.subn(rf"^{name} = .*", f"{name} = {limit}", text, flags=re.MULTILINE)
        assert count == 1
    return text


def plain(python: str = sys.executable, *, first: str = "pass", **limits: int) -> list[str]:
    """The command that runs the agent, a patient one. `first`: a Python statement to run before it."""
    return [python, "-I", "-S", "-c", f"{first}\n{START}", str(compiled(python, **{**PATIENT, **limits})), NONCE]


def without_prctl() -> list[str]:
    return plain(first="import sys; sys.modules['_ctypes'] = None")


def without_sessions_in_spawn() -> list[str]:
    """As with an old glibc."""
    return plain(first="import os; os.posix_spawn = lambda *_, **__: (_ for _ in ()).throw(NotImplementedError)")


def tells_of_removed_output(event: dict[str, Any]) -> bool:
    """Whether it only says that a job's output is not there any more."""
    return bool(event["ev"] == "error" and event["why"].endswith("was removed"))


class AgentClient:
    """Speaks to one agent; output is acknowledged as it is read, unless `acks` is switched off."""

    def __init__(
        self, node_dir: Path, command: list[str] | None = None, env: dict[str, str] | None = None, **popen: Any
    ) -> None:
        path = os.environ.get("PATH", os.defpath)
        self.process = subprocess.Popen(
            command or plain(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": path, "CLBALANCE_NODE_DIR": str(node_dir), **marked(), **(env or {})},
            **popen,
        )
        self.partial = b""
        self.lines: list[bytes] = []
        self.acks = True
        self.output: dict[tuple[str, str], bytearray] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stdin.close()
        self.process.wait(WAIT_S)

    def send(self, raw: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def ask(self, op: str, job: str, **fields: object) -> None:
        self.send(json.dumps({"op": op, "job": job, **fields}).encode() + b"\n")

    def put(self, job: str, file: str, content: bytes) -> None:
        for start in range(0, max(1, len(content)), 1 << 20):
            self.ask("put", job, file=file, data=base64.b64encode(content[start : start + (1 << 20)]).decode())

    def line(self, wait_s: float = WAIT_S) -> bytes | None:
        """The next line, without its newline; None at the end of output, and when there is none in time."""
        assert self.process.stdout is not None
        until = time.monotonic() + wait_s
        while not self.lines:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                return None
            *ended, self.partial = (self.partial + chunk).split(b"\n")
            self.lines += ended
        return self.lines.pop(0)

    def event(self, wait_s: float = WAIT_S) -> dict[str, Any]:
        """The next event; output is kept, and acknowledged."""
        line = self.line(wait_s)
        assert line is not None, "no event came"
        assert line.startswith(FRAME)
        event: dict[str, Any] = json.loads(line[len(FRAME) :])
        if event["ev"] == "output":
            kept = self.output.setdefault((event["job"], event["stream"]), bytearray())
            assert event["offset"] == len(kept)
            kept += base64.b64decode(event["data"])
            if self.acks:
                self.ask("ack", event["job"], stream=event["stream"], offset=len(kept))
        return event

    def until(self, ev: str, job: str | None = None) -> dict[str, Any]:
        """The next event of that kind; none that speaks of trouble may come before it."""
        while True:
            event = self.event()
            if event["ev"] == ev and job in (None, event.get("job")):
                return event
            is_trouble = event["ev"] in ("error", "refused") and not tells_of_removed_output(event)
            assert not is_trouble, event

    def begin(
        self, script: bytes | None = None, stdin: bytes | None = None, window: int = 1 << 20, **spec: object
    ) -> str:
        """Claim a new job, have it admitted, put its files, follow and start it; it ends with this client."""
        job = new_job()
        spec.setdefault("tied", True)
        self.ask("claim", job)
        self.ask("admit", job, lease=NOTHING, capacity={"cpus": None, "slots": None})
        for file, content in (("script", script), ("stdin", stdin)):
            if content is not None:
                self.put(job, file, content)
        if script is not None:
            spec = {"script": {"name": "job.sh", "args": spec.pop("args", [])}, **spec}
        self.ask("follow", job, window=window)
        self.ask("start", job, spec=spec)
        return job

    def run(self, **spec: Any) -> dict[str, Any]:
        """A whole job: what `started` and `ended` said, and its output."""
        job = self.begin(**spec)
        started = self.until("started", job)
        return {
            **started,
            **self.until("ended", job),
            "warnings": started["warnings"],
            "stdout": bytes(self.output.get((job, "stdout"), b"")),
            "stderr": bytes(self.output.get((job, "stderr"), b"")),
        }

    def ask_node(self, op: str, **fields: object) -> dict[str, Any]:
        """What the node answers to a request that names no job."""
        self.send(json.dumps({"op": op, **fields}).encode() + b"\n")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next event that is not a mere step on the way."""
        while True:
            event = self.event()
            if event["ev"] not in ("hello", "claimed", "stored"):
                return event

    def ask_admission(self, capacity: dict[str, object] | None = None, **lease: object) -> str:
        """Claim a new job and ask for a lease of it."""
        job = new_job()
        self.ask("claim", job)
        self.ask(
            "admit",
            job,
            lease=NOTHING | lease,
            capacity=capacity if capacity is not None else {"cpus": 4, "slots": None},
        )
        return job

    def admit(self, capacity: dict[str, object] | None = None, **lease: object) -> str:
        """A new job that is admitted."""
        job = self.ask_admission(capacity, **lease)
        assert self.until("admitted", job)["job"] == job
        return job

    def admission_refusal(self, capacity: dict[str, object] | None = None, **lease: object) -> tuple[str, str]:
        """Kind and words with which a lease is refused."""
        parsed = self.until_refused(self.ask_admission(capacity, **lease))
        assert parsed["rc"] is None
        return parsed["kind"], parsed["why"]

    def refusal(self, **spec: Any) -> tuple[str, str, int | None]:
        """Kind, words and code with which a job is refused."""
        parsed = self.until_refused(self.begin(**spec))
        return parsed["kind"], parsed["why"], parsed["rc"]

    def until_refused(self, job: str) -> dict[str, Any]:
        while True:
            event = self.event()
            if event["ev"] == "refused":
                assert event["job"] == job
                return event
            assert event["ev"] in ("hello", "claimed", "admitted", "stored"), event


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int], wait_s: float = WAIT_S) -> bool:
    """Whether all of them end within that time."""
    until = time.monotonic() + wait_s
    while True:
        is_last = time.monotonic() > until  # asked first: the last look is one after the limit
        if not any(lives(pid) for pid in pids):
            return True
        if is_last:
            return False
        time.sleep(0.01)


def pids_in(file: Path, count: int) -> list[int]:
    """The pids that a job's processes write there, once there are `count`."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        words = file.read_text().split() if file.exists() else []
        if len(words) >= count:
            return [int(word) for word in words]
        time.sleep(0.01)
    raise AssertionError(f"fewer than {count} processes came up")


def job_folder(node_dir: Path, job: str) -> Path:
    return node_dir / f"clbalance-{os.geteuid()}" / "jobs" / job


def exit_record(node_dir: Path, job: str) -> dict[str, Any]:
    """The end that the supervisor keeps; it may come a moment after its agent's."""
    file = job_folder(node_dir, job) / "exit"
    until = time.monotonic() + WAIT_S
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.01)
    record: dict[str, Any] = json.loads(file.read_text())
    return record
