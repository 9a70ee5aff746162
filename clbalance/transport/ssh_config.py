"""Asks ssh where it looks for nodes (`ssh -G`): by its own reading of its configuration, without a connection."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from clbalance.model import NodeName
from clbalance.policy.hints import SshAddress
from clbalance.transport.ssh_command import ssh_call

_MOST_NODES = 50
_WITHIN_S = 5.0
"""For all of them: a `Match exec` in the configuration runs a command, which may hang."""
_MOST_BYTES = 1 << 20


def addresses_of(nodes: Iterable[NodeName], path: str, options: str, user: str | None) -> dict[NodeName, SshAddress]:
    """The address of each node, without those that could not be found out in time."""
    call = [*ssh_call(path, options), *(["-l", user] if user else []), "-G", "--"]
    until = time.monotonic() + _WITHIN_S
    found: dict[NodeName, SshAddress] = {}
    for node in list(nodes)[:_MOST_NODES]:
        told = _output([*call, node], until - time.monotonic())
        if told is None:
            break
        if (address := _address(told)) is not None:
            found[node] = address
    return found


def _output(argv: Sequence[str], within_s: float) -> str | None:
    """What it prints; None if it takes too long or cannot be started. Nothing of it is left running."""
    try:
        asked = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        return asked.communicate(timeout=max(0.0, within_s))[0][:_MOST_BYTES].decode(errors="replace")
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(asked.pid, signal.SIGKILL)
        asked.wait()
        if asked.stdout is not None:
            asked.stdout.close()


def _address(told: str) -> SshAddress | None:
    values: dict[str, str] = {}
    for line in told.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword.lower(), value)
    if not values.get("hostname") or not values.get("port", "").isdecimal():
        return None
    alias, files = values.get("hostkeyalias", "none"), values.get("userknownhostsfile", "").split()
    plain = SshAddress(host=values["hostname"], port=values["port"], alias=None if alias == "none" else alias)
    if not files or Path(files[0]).expanduser() == Path(plain.known_hosts).expanduser():
        return plain
    return SshAddress(host=plain.host, port=plain.port, alias=plain.alias, known_hosts=files[0])
