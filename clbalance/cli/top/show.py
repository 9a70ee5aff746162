"""Carry out `top`: the live screen, or without a terminal one frame after the other, or a JSON value for each round."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.connecting import connecting
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.top.options import TopOptions
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, UsageError
from clbalance.model import Measured
from clbalance.render import messages
from clbalance.render.format import Format
from clbalance.units import parse_duration

if TYPE_CHECKING:
    from clbalance.policy.heat import NodeGroup
    from clbalance.render.top.round import Round


def show_top(nodes: NodeOptions, ssh: SshOptions, console: Console, shown: TopOptions) -> int:
    """The exit code of `clbalance top`."""
    every_s = parse_duration(shown.every, "`--every`")
    if every_s < 1:
        raise UsageError(f"`--every` cannot be {shown.every}: each time all nodes are asked", hint="1s or more")
    cluster = cluster_context(nodes, ssh, console)
    with connecting(cluster):
        if not shown.once and _is_interactive(console):
            return _show_live(cluster, nodes, shown, every_s)
        return _show_text(cluster, nodes, shown, every_s)


def _show_live(cluster: ClusterContext, nodes: NodeOptions, shown: TopOptions, every_s: float) -> int:
    from clbalance.cli.top.groups import site_groups
    from clbalance.cli.top.live import show_live
    from clbalance.policy.top.rebind import rebound
    from clbalance.policy.top.state import TopState

    first = TopState(view=shown.view, filter=shown.filter or "", history=(shown.filter,) if shown.filter else ())
    keys = rebound(cluster.settings.top_keys)
    keys = keys.read_only() if shown.readonly else keys
    show_live(cluster, site_groups(cluster, nodes), first, every_s, keys)
    return ExitCode.DONE


def _show_text(cluster: ClusterContext, nodes: NodeOptions, shown: TopOptions, every_s: float) -> int:
    with cluster.services(meanwhile="clbalance.cli.top.rounds") as services:
        from clbalance.cli.top.groups import site_groups
        from clbalance.cli.top.rounds import Rounds

        groups = site_groups(cluster, nodes)
        if not shown.once:
            _show_rounds(cluster, services, groups, shown, every_s)
        found = Rounds(cluster, services, groups).next()
        _show(found, cluster, shown)
        answered = any(isinstance(row.answer, Measured) for row in found.rows)
        return ExitCode.DONE if answered or not found.rows else ExitCode.SOME_NODES_FAILED


def _show_rounds(
    cluster: ClusterContext, services: Services, groups: "tuple[NodeGroup, ...]", shown: TopOptions, every_s: float
) -> NoReturn:
    """One frame or value after the other, until a signal or the end of the pipe."""
    from clbalance.cli.kept_sessions import keeping_sessions
    from clbalance.cli.top.rounds import Rounds, least_answer_s

    with keeping_sessions(services, least_s=least_answer_s(every_s)) as kept:
        rounds = Rounds(cluster, replace(services, transport=kept), groups, lambda: kept.count)
        while True:
            began = services.clock.monotonic()
            _show(rounds.next(), cluster, shown)
            kept.rest(began + every_s - services.clock.monotonic())


def _is_interactive(console: Console) -> bool:
    """Whether there is a screen to draw on, and a keyboard."""
    is_screen = console.outlets.stdout.terminal and os.environ.get("TERM", "dumb") not in {"dumb", ""}
    return is_screen and os.isatty(0) and console.display.form is Format.HUMAN


def _show(found: "Round", cluster: ClusterContext, shown: TopOptions) -> None:
    from clbalance.cli.top.typed_filter import filter_parser
    from clbalance.render.reports.nodes.top import TopReport
    from clbalance.render.sparkline import blocks_for

    by = filter_parser(cluster)(shown.filter or "")
    if by.remark and found.number == 1:
        cluster.console.say(messages.note(f"`--filter`: {by.remark}"))
    cluster.console.show(TopReport(found=found, blocks=blocks_for(os.environ), view=shown.view, by=by))
