"""A node to ask: its folder for everyone, made-up measurements, other users, and locks in other hands."""

import fcntl
import json
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clbalance.node.agent.lease.users import user_name

from .agent_client import WAIT_S, AgentClient, plain

GIB = 1 << 30
ALICE, BOB = 12345, 12346
ME = user_name(os.geteuid())
GPUS = [f"GPU-{n:08x}-0000-0000-0000-000000000000" for n in range(8)]

GOOD: dict[str, Any] = {
    "v": 1,
    "cpus": 1.0,
    "mem_bytes": 0,
    "gpus": [],
    "slots": 1,
    "exclusive": False,
    "uptime_s": 0.0,
    "name": "forged",
}


class Node:
    """A folder as /var/tmp is, with a /proc of its own beside it, and agents that take it for theirs."""

    def __init__(self, folder: Path, cpus: int = 4) -> None:
        self.base = folder / "base"
        self.base.mkdir()
        self.base.chmod(0o1777)
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.admins = folder / "admins"
        self.limits_conf = folder / "limits.conf"
        self.limits: dict[str, int] = {}
        self.measures(cpus=cpus)

    def measures(
        self,
        *,
        cpus: int = 4,
        r1m: float = 0.0,
        uptime_s: float = 5000.0,
        total_gib: float = 8,
        available_gib: float = 8,
    ) -> None:
        memory = (
            f"MemTotal: {int(total_gib * 2**20)} kB\nMemFree: 1 kB\nMemAvailable: {int(available_gib * 2**20)} kB\n"
        )
        texts = {
            "stat": "cpu  1 2 3\n" + "".join(f"cpu{n} 1 2 3\n" for n in range(cpus)) + "intr 5\n",
            "loadavg": f"{r1m:.2f} 9.00 9.00 1/99 4711\n",
            "uptime": f"{uptime_s:.2f} 99.00\n",
            "meminfo": memory,
        }
        for name, text in texts.items():
            (self.proc / name).write_text(text)
        self.boot()

    def boot(self, boot_id: str = "8f0c2b1e-8f5e-4a5e-9a53-0d6d3f3f3f3f") -> None:
        """Let the node say that it was booted; nothing of it ends by that."""
        folder = self.proc / "sys/kernel/random"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "boot_id").write_text(f"{boot_id}\n")

    def client(self, uid: int | None = None, *, inside: Sequence[str] = (), **env: str) -> AgentClient:
        """An agent, of root or of another user; `inside`: a command that runs it."""
        if uid is None:
            command = plain(**self.limits)
        else:
            command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
            command += plain("/usr/bin/python3", **self.limits)  # for our own may lie where he cannot look
        command[:0] = inside
        files = {"CLBALANCE_ADMINS": str(self.admins), "CLBALANCE_LIMITS": str(self.limits_conf)}
        names = {"CLBALANCE_PROCFS": str(self.proc), **files, **env}
        return AgentClient(self.base, command=command, env=names)

    def home(self, uid: int | None = None) -> Path:
        return self.base / f"clbalance-{os.geteuid() if uid is None else uid}"

    def make_home(self, uid: int) -> Path:
        home = self.home(uid)
        if not home.exists():
            home.mkdir(mode=0o755)
            os.chown(home, uid, uid)
        return home

    def leases(self) -> list[Path]:
        return sorted(self.base.glob("clbalance-*/lease-*"))

    def lease_of(self, job: str) -> Path:
        (found,) = self.base.glob(f"clbalance-*/lease-{job}")
        return found

    def mark(self, name: str, content: bytes, uid: int) -> Path:
        """A file of that name in that user's home."""
        path = self.make_home(uid) / name
        path.write_bytes(content)
        path.chmod(0o644)
        os.chown(path, uid, uid)
        return path


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="clbalance-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """The supervisors of ended jobs may still be writing there."""
    until = time.monotonic() + WAIT_S
    while folder.exists():
        assert time.monotonic() < until
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False)  # of 6,000 folders, quicker than rmtree


FILLER = """
import contextlib, os, sys
how, first, count, folder, name = sys.argv[1:]
os.chdir(folder)
for number in range(int(first), int(first) + int(count)):
    if how == "folders":
        with contextlib.suppress(FileExistsError):
            os.mkdir(name % number)
    else:
        os.close(os.open(name % number, os.O_CREAT | os.O_WRONLY, 0o644))
"""


def fill(how: str, folder: Path, name: str, count: int, *, uid: int, first: int = 1) -> None:
    """Many "folders" or "files" that a user makes there; `name` has a `%d`."""
    words = ["/usr/bin/python3", "-c", FILLER, how, str(first), str(count), str(folder), name]
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *words], check=True)


def lease_text(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


def locker_of(path: Path) -> int:
    """The pid that holds a write lock on it; 0: nobody does."""
    fd = os.open(path, os.O_RDONLY)
    try:
        asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return pid if kind == fcntl.F_WRLCK else 0


def is_held(path: Path) -> bool:
    """Whether somebody holds that lease."""
    try:
        return locker_of(path) != 0
    except FileNotFoundError:
        return False


def wait_until_void(path: Path, wait_s: float = WAIT_S) -> float:
    """How long it took until nobody held that lease, or it was gone."""
    began = time.monotonic()
    while time.monotonic() < began + wait_s:
        try:
            if not locker_of(path):
                break
        except FileNotFoundError:
            break
        time.sleep(0.005)
    else:
        raise AssertionError(f"{path} is still held")
    return time.monotonic() - began


LOCKER = """
import fcntl, os, sys
how, *paths = sys.argv[1:]
fds = [os.open(path, os.O_RDONLY if how in ("flock", "read") else os.O_RDWR) for path in paths]
for fd in fds:
    if how == "flock":
        fcntl.flock(fd, fcntl.LOCK_EX)
    else:
        fcntl.lockf(fd, fcntl.LOCK_SH if how == "read" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(how: str, *paths: Path, uid: int | None = None) -> Iterator[int]:
    """Another process, perhaps of another user, that holds them: by `flock`, or by fcntl to `read` or `write`."""
    command = ["/usr/bin/python3", "-c", LOCKER, how, *map(str, paths)]
    if uid is not None:
        command[:0] = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.stdin.close()
