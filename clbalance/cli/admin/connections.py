"""Carry out `config connections`: the ssh connections that wait for the next call."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.errors import ExitCode
from clbalance.render import messages
from clbalance.render.reports.admin.connections import ConnectionsReport, KeptConnection
from clbalance.settings.load import load_settings
from clbalance.transport.sharing.connections import runtime_folder, sessions_over, standing, stop_sharing
from clbalance.units import counted
from clbalance.wiring.folders import working_directory

_AT_ONCE = 8


def show_connections(console: Console) -> int:
    """List those of this user, of all configurations. The exit code: 0."""
    found = tuple(map(_seen, standing(runtime_folder())))
    console.show(ConnectionsReport(found))
    if not found:
        console.say(messages.note(f"no connection is kept ({_setting()})"))
    return ExitCode.DONE


def end_connections(console: Console) -> int:
    """Let none of them take a new session, so that each ends with its last one. The exit code: 0, or 1."""
    sockets = list(standing(runtime_folder()))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ended = dict(zip(sockets, pool.map(stop_sharing, sockets), strict=True))
    for path, was_told in ended.items():
        if not was_told:
            console.complain(messages.warning(f"the connection to {path.name} does not answer: it is left aside"))
    console.say(messages.note(f"ended {counted(sum(ended.values()), 'connection')}"))
    return ExitCode.DONE if all(ended.values()) else ExitCode.FAILED


def _seen(path: Path) -> KeptConnection:
    try:
        since = path.lstat().st_mtime
    except OSError:  # it has just ended
        since = time.time()
    return KeptConnection(
        node=path.name, sessions=sessions_over(path), age_s=max(0.0, time.time() - since), socket=os.fspath(path)
    )


def _setting() -> str:
    settings = load_settings(os.environ, working_directory())
    kept_s = settings.ssh.control_persist_s
    return f"`ssh.control_persist_s` is {'off' if kept_s is None else f'{kept_s:g}'}"
