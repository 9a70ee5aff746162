"""Carry out `reap`: ask the nodes for leftovers, show them, and say whether they were removed."""

from dataclasses import replace

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.reap import awaited_results, reap
from clbalance.errors import ExitCode
from clbalance.node import reaping_agent_source
from clbalance.nodeset import fold
from clbalance.render import messages
from clbalance.render.reports.admin.reap import ReapReport
from clbalance.units import parse_duration


def reap_nodes(nodes: NodeOptions, ssh: SshOptions, console: Console, *, keep: str, apply: bool) -> int:
    """The exit code of `clbalance reap`."""
    keep_s = parse_duration(keep, "`--keep`")
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services(meanwhile="clbalance.render.reports.admin.reap") as services:
        reaping = replace(services, agent_source=reaping_agent_source)
        report = ReapReport(nodes=reap(reaping, cluster.candidates.nodes, keep_s=keep_s, apply=apply), applied=apply)
        awaited = awaited_results(services)
    console.show(report)
    for job in awaited:
        console.say(messages.note(f"the files of job {job} are kept: its results are not returned yet"))
    _say(report, console)
    is_whole = all(node.answered and not any(one.reason for one in node.found) for node in report.nodes)
    return ExitCode.DONE if is_whole else ExitCode.SOME_NODES_FAILED


def _say(report: ReapReport, console: Console) -> None:
    left = [node.node for node in report.nodes if node.found]
    if not left:
        answered = [node.node for node in report.nodes if node.answered]
        console.say(
            messages.note(f"nothing of yours to remove on {fold(answered)}" if answered else "no node has answered")
        )
    elif report.applied:
        console.say(messages.note(f"removed on {fold(left)}"))
    else:
        console.say(messages.note(f"nothing was removed; `--apply` removes it on {fold(left)}"))
