"""Carries out the actions of `top`: by the verbs that one would type, on the terminal, with the same ssh options."""

import csv
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

from clbalance.cli.cluster import ClusterContext
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


def act_on_terminal(cluster: ClusterContext, deed: Deed) -> None:
    """Show and run the command, and wait for Enter, so that what it says can be read."""
    words = verb(deed)
    argv = [sys.executable, "-m", "clbalance", *words[:1], *_ssh_words(cluster, deed.action), *words[1:]]
    shown = f"clbalance {shlex.join(words)}"
    if deed.action is Action.SSH:
        argv = cluster.transport.terminal(NodeName(deed.names[0]), _LOGIN)
        shown = f"ssh {deed.names[0]}"
    sys.stdout.write(f"$ {escape_line(shown)}\n")
    sys.stdout.flush()
    done = subprocess.run(argv, check=False)
    sys.stdout.write(
        f"exit code {done.returncode}; Enter: back to top\n" if done.returncode else "Enter: back to top\n"
    )
    sys.stdout.flush()
    sys.stdin.readline()


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


def export(items: Items, path: str) -> str:
    """Write rows to a file, as its name says; what was done, in a line. `ClbalanceError` if it cannot be written."""
    headings = [one.column.heading for one in items.columns]
    rows = [[value.value for value in item.values] for item in items.items]
    text = _json(headings, rows) if path.lower().endswith(".json") else _csv(headings, rows)
    replace_file(os.path.expanduser(path), text.encode("utf-8", "backslashreplace"))  # noqa: PTH111 - a typed path
    return f"{counted(len(rows), 'row')} in {path}"


def _csv(headings: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(headings)
    table.writerows([escape_line(value) if isinstance(value, str) else value for value in row] for row in rows)
    return out.getvalue()


def _json(headings: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> str:
    return json_text({"rows": [dict(zip(headings, row, strict=True)) for row in rows]})
