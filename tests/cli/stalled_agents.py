"""A `python3` for a node whose agent stops itself in the middle of a conversation, as a frozen interpreter does."""

import sys
from pathlib import Path

from clbalance.lab.node import LabNode

_AGENT = """
import os, signal, sys
marker, flag = {marker!r}, {flag!r}
write, agent = os.write, os.getpid()
def write_and_stop(fd, data):
    written = write(fd, data)
    if os.getpid() == agent and marker in bytes(data) and os.path.exists(flag):
        {before}
        os.kill(agent, signal.SIGSTOP)
    return written
os.write = write_and_stop
path = sys.argv[1]
del sys.argv[0]
exec(compile(open(path).read(), path, "exec"), {{"__name__": "__main__"}})
"""


def stall_after(node: LabNode, event: str, *, once: bool = False) -> None:
    """Each agent of the node stops when it has sent that event. `once`: only the first one."""
    flag = node.folder.path / "stalls"
    flag.touch()
    agent = node.folder.path / "agent-that-stalls.py"
    before = f"os.unlink({str(flag)!r})" if once else "pass"
    agent.write_text(_AGENT.format(marker=f'"ev": "{event}"'.encode(), flag=str(flag), before=before))
    replace_python(node, f'shift 2\nexec {sys.executable} -I -S {agent} "$@"')


def replace_python(node: LabNode, text: str) -> Path:
    """Make `python3` on that node a shell script."""
    program = node.folder.bin / "python3"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program
