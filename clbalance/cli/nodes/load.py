"""Carry out `load`: a table of nodes. On a terminal a draft is drawn while nodes that take long are still awaited."""

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from clbalance.cli.cluster import cluster_context
from clbalance.cli.connecting import connecting
from clbalance.cli.console import Console
from clbalance.cli.nodes.load_view import LoadView, View, grouping
from clbalance.cli.option_values import parse_ahead
from clbalance.cli.options import ExpressionOptions, LoadOptions, NodeOptions, SshOptions
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import UsageError
from clbalance.model import NodeName, Snapshot
from clbalance.render.format import Format
from clbalance.render.output.streams import Outlet
from clbalance.units import parse_duration
from clbalance.wiring.requests import check_names, expressions_of

if TYPE_CHECKING:  # imported once nodes have been asked: docs/design/startup.md
    from clbalance.engine.services import Services

_STYLE = re.compile(r"\x1b\[[0-9;:]*m")


def show_load(
    nodes: NodeOptions,
    ssh: SshOptions,
    console: Console,
    expressions: ExpressionOptions,
    shown: LoadOptions,
) -> int:
    """The exit code of `clbalance load`."""
    kind = _kind(shown, expressions)
    every_s = None if shown.watch is None else _interval(shown.watch)
    ahead_s = None if shown.forecast is None else parse_ahead(shown.forecast, "`--forecast`")
    asked = expressions_of(expressions)
    cluster = cluster_context(nodes, ssh, console)
    check_names(asked, cluster.settings)
    group_by = grouping(cluster, shown.by) if kind is View.HEAT else None
    view = LoadView(cluster=cluster, asked=asked, view=kind, group_by=group_by, top=shown.top, ahead_s=ahead_s)
    if every_s is not None:
        from clbalance.cli.nodes.watch import watch_load

        watch_load(view, every_s)
    table = _LoadTable(view)
    with connecting(cluster), cluster.services(meanwhile="clbalance.cli.nodes.load_rows") as usual:
        services = view.services(usual)
        draft = partial(table.draw_draft, services) if _shows_drafts(console) and not shown.strict else None
        snapshot = take_snapshot(services, cluster.candidates.nodes, draft=draft, look_twice=True)
        table.draw(services, snapshot)
    from clbalance.cli.nodes.load_rows import load_exit_code  # deferred import: docs/design/startup.md

    return load_exit_code(snapshot, strict=shown.strict)


def _kind(shown: LoadOptions, expressions: ExpressionOptions) -> View:
    """The view that the options name. `UsageError` if they contradict each other."""
    kinds = {"--gpus": View.GPUS, "--jobs": View.JOBS, "--heat": View.HEAT, "--forecast": View.FORECAST}
    wanted = (shown.gpus, shown.jobs, shown.heat, shown.forecast is not None)
    named = [option for option, is_named in zip(kinds, wanted, strict=True) if is_named]
    if len(named) > 1:
        hint = "one of them" + ("; with `--json` either has both" if named == ["--gpus", "--jobs"] else "")
        raise UsageError(f"`{named[0]}` and `{named[1]}` are two views", hint=hint)
    if shown.by is not None and not shown.heat:
        raise UsageError("`--by` groups the nodes of `--heat`", hint="add `--heat`, or leave it out")
    if shown.top is not None and shown.top < 1:
        raise UsageError(f"`--top` cannot be {shown.top}", hint="a number of nodes, 1 or more")
    if shown.heat and shown.top is not None:
        raise UsageError("`--top` does not go with `--heat`, which has a place for every node")
    if shown.heat and expressions.order:
        raise UsageError("`--order` does not go with `--heat`: a node keeps its place in the map")
    return kinds[named[0]] if named else View.NODES


def _interval(text: str) -> float:
    every_s = parse_duration(text, "`--watch`")
    if every_s < 1:
        raise UsageError(f"`--watch` cannot be {text}: each time all nodes are asked", hint="1 second or more")
    return every_s


def _shows_drafts(console: Console) -> bool:
    """Only a person at a terminal can do something with half of the answer."""
    is_terminal = console.outlets.stdout.terminal and os.environ.get("TERM") != "dumb"
    return is_terminal and console.display.form is Format.HUMAN


class _LoadTable:
    """The table on stdout, drawn at most twice."""

    def __init__(self, view: LoadView) -> None:
        self._view = view
        self._console = view.cluster.console
        self._draft: _Draft | None = None
        self._late: frozenset[NodeName] = frozenset()

    def draw_draft(self, services: "Services", snapshot: Snapshot) -> None:
        """Draw the answers so far. Nodes that are still awaited come last, without figures."""
        from clbalance.policy.placement.quorum import was_not_awaited

        self._late = frozenset(one.node for one in snapshot.answers if was_not_awaited(one))
        names = self._view.names(services, snapshot, is_draft=True)
        report, _ = self._view.report(services, self._view.rows(services, snapshot), names)
        self._draft = _Draft(self._console.outlets.stdout, self._console.display.text(report))

    def draw(self, services: "Services", snapshot: Snapshot) -> None:
        """Draw the whole table in the place of the draft.

        Where that cannot be: the rows that the draft lacked; or, with `--top`, the table once more, for it is short.
        """
        rows, names = self._view.rows(services, snapshot), self._view.names(services, snapshot)
        report, left_out = self._view.report(services, rows, names)
        is_replaced = self._draft is not None and self._draft.replace(self._console.display.text(report))
        if self._draft is not None and not is_replaced and self._view.top is None:
            late = [row for row in rows if row.node in self._late]
            report, _ = self._view.report(services, late, names)
        if not is_replaced and (report.rows or self._draft is None):
            self._console.show(report)
        self._console.say(left_out)


class _Draft:
    """A text on a terminal that another one can replace."""

    def __init__(self, outlet: Outlet, text: str) -> None:
        self._outlet = outlet
        self._began_at = outlet.line.count
        self._height = text.count("\n")
        self._size = _size()
        self._is_wrapped = any(len(_STYLE.sub("", line)) > self._size.columns for line in text.splitlines())
        outlet.send(text.encode("utf-8", "backslashreplace"))

    def replace(self, text: str) -> bool:
        """Draw `text` in its place. False: it is not whole on the screen any more, or other text stands below it."""
        is_last = self._outlet.line.count == self._began_at + self._height
        if not is_last or self._is_wrapped or _size() != self._size or self._height >= self._size.lines:
            return False
        # In one piece, so that nothing flickers: up to its first line, clear the screen from there, draw.
        self._outlet.send(f"\x1b[{self._height}A\r\x1b[J{text}".encode("utf-8", "backslashreplace"))
        return True


def _size() -> os.terminal_size:
    return os.get_terminal_size(1)
