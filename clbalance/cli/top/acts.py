"""Carries out the actions of `top`: by the verbs that one would type, on the terminal, with the same ssh options."""

import csv
import io
import os
import select
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence

from clbalance.cli.cluster import ClusterContext
from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.policy.top.actions import VIEWS, Action, Deed, verb
from clbalance.policy.top.view import View
from clbalance.render.report import json_text
from clbalance.render.text import escape_line
from clbalance.render.top.item import Items
from clbalance.units import counted
from clbalance.user_files import replace_file

_LOGIN = 'exec "$SHELL" -l'
"""For any login shell: sh, csh and fish read it alike."""
_LOOKS_UP_EVERY_S = 0.2
_ENDS_WITHIN_S = 2.0
"""Between SIGTERM and SIGKILL."""


def terminal_command(cluster: ClusterContext, deed: Deed) -> "TerminalCommand":
    """The command that carries out the action."""
    if deed.action is Action.SSH:
        node = NodeName(deed.names[0])
        return TerminalCommand(cluster.transport.terminal(node, _LOGIN), f"ssh {node}")
    words = verb(deed)
    argv = [sys.executable, "-m", "clbalance", *words[:1], *_ssh_words(cluster, deed.action), *words[1:]]
    return TerminalCommand(argv, f"clbalance {shlex.join(words)}")


class TerminalCommand:
    """A command that has the terminal for itself, and then the line that waits for Enter."""

    def __init__(self, argv: Sequence[str], shown: str) -> None:
        self._argv = argv
        self._shown = shown
        self._is_ended = threading.Event()

    def run(self) -> None:
        """Show it, run it, and wait for Enter, so that what it says can be read."""
        _say(f"$ {escape_line(self._shown)}\n")
        code = self._code()
        if self._is_ended.is_set():
            return
        _say(f"exit code {code}; Enter: back to top\n" if code else "Enter: back to top\n")
        while not self._is_ended.is_set():
            if select.select([sys.stdin], [], [], _LOOKS_UP_EVERY_S)[0]:
                sys.stdin.readline()
                return

    def end(self) -> None:
        """End it, from another thread; `run` returns then."""
        self._is_ended.set()

    def _code(self) -> int:
        child = subprocess.Popen(self._argv)
        while True:
            try:
                return child.wait(_LOOKS_UP_EVERY_S)
            except subprocess.TimeoutExpired:
                if self._is_ended.is_set():
                    return _ended(child)


def _ended(child: "subprocess.Popen[bytes]") -> int:
    child.terminate()
    try:
        return child.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _ssh_words(cluster: ClusterContext, action: Action) -> list[str]:
    """The options with which `top` was called, as far as the verb takes them."""
    ssh, words = cluster.ssh, []
    for letter, value in (("-l", ssh.user), ("-t", ssh.connect_timeout), ("-u", ssh.command_timeout)):
        words += [] if value is None else [letter, value]
    for options in ssh.ssh_options or ():
        words += ["-o", options]
    if View.NODES in VIEWS[action] and cluster.groups_conf is not None:
        words += ["--groups-conf", str(cluster.groups_conf)]
    return words


def is_there(path: str) -> bool:
    """Whether an export to this path would replace a file. `ClbalanceError` for what is no file: it could block."""
    try:
        mode = os.stat(_expanded(path)).st_mode  # noqa: PTH116 - a typed path
    except OSError:
        return False  # what is wrong is told when it is written
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ClbalanceError(f"`{escape_line(path)}` is {kind}", hint="name a file")
    return True


def _expanded(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 - as above; this one never fails


def export(items: Items, path: str) -> str:
    """Write rows to a file, as its name says; what was done, in a line. `ClbalanceError` if it cannot be written."""
    headings = [one.column.heading for one in items.columns]
    rows = [[value.value for value in item.values] for item in items.items]
    text = _json(headings, rows) if path.lower().endswith(".json") else _csv(headings, rows)
    replace_file(_expanded(path), text.encode("utf-8", "backslashreplace"))
    return f"{counted(len(rows), 'row')} in {path}"


def _csv(headings: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(headings)
    table.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: float | str | None) -> float | str | None:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    return f"'{escape_line(value)}" if value.startswith(("=", "+", "-", "@")) else escape_line(value)


def _json(headings: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> str:
    return json_text({"rows": [dict(zip(headings, row, strict=True)) for row in rows]})
