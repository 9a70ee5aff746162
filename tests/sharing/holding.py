"""Other people on a node: what they put into its folder, and the locks that they hold there.

Locks are taken on the node itself, for the kernel tells a node only about processes that it can see.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, ended
from tests.cli.run.test_run_ends import await_output
from tests.node.nodes import is_held

_HOLD = """\
import fcntl, os, sys
how, path = sys.argv[1:]
fd = os.open(path, os.O_RDONLY if how == "flock" else os.O_RDWR)
(fcntl.flock if how == "flock" else fcntl.lockf)(fd, fcntl.LOCK_EX)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def uid_of(lab: Lab, user: str) -> int:
    return next(one.uid for one in lab.record.spec.users if one.name == user)


def home_of(node: LabNode, uid: int) -> Path:
    """The folder of a user's jobs on a node; made as his first job would make it."""
    home = node.folder.var / f"clbalance-{uid}"
    if not home.exists():
        home.mkdir(mode=0o755)
        os.chown(home, uid, uid)
    return home


def forge(node: LabNode, uid: int, **allocation: object) -> Path:
    """A lease that its owner wrote by hand; nobody holds it yet."""
    path = home_of(node, uid) / f"lease-{secrets.token_hex(16)}.1"
    usual = {"v": 1, "cpus": 1.0, "mem_bytes": 0, "gpus": [], "slots": 1, "exclusive": False, "uptime_s": 0.0}
    path.write_text(json.dumps({**usual, "name": "forged", **allocation}))
    path.chmod(0o644)
    os.chown(path, uid, uid)
    return path


@contextmanager
def held(lab: Lab, node: str, user: str, how: str, path: Path) -> Iterator[int]:
    """The user's process on the node that holds `path`, by `flock` or by `fcntl`; its pid there."""
    argv = ["ssh", "-F", str(lab.ssh_config), "-l", user, "--", node, f"exec python3 -c '{_HOLD}' {how} {path}"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        assert child.stdin is not None
        child.stdin.close()
        ended(child)


@contextmanager
def job(clbalance: Command, *arguments: str, text: str = "echo up; sleep 300") -> "Iterator[subprocess.Popen[bytes]]":
    """A run whose job is under way; stopped at the end, if it still is."""
    child = clbalance.start("run", "-q", *arguments, "-c", text)
    try:
        await_output(child)
        yield child
    finally:
        child.terminate()
        ended(child)


def leases_held(node: LabNode) -> list[Path]:
    """The leases on a node that are no mere files."""
    return [path for path in node.folder.var.glob("clbalance-*/lease-*") if is_held(path)]
