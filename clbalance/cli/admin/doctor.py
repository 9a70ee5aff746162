"""Carry out `doctor`: findings about this host and about nodes, as one report."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import assert_never

from clbalance.cli.cluster import ClusterContext, cluster_context, ssh_transport
from clbalance.cli.console import Console
from clbalance.cli.kept_sessions import connecting_anew
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.answers import forget_refusals
from clbalance.engine.doctor import check_up
from clbalance.errors import ExitCode, NodeNameError, SettingsError, StoreError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Silent
from clbalance.model.checkup import Examination, Examined, Finding, Severity, note, wrong
from clbalance.node import checkup_script
from clbalance.nodeset import fold
from clbalance.policy.doctor import (
    group_findings,
    may_take_jobs,
    node_findings,
    open_files_findings,
    ssh_findings,
    worst_first,
)
from clbalance.policy.hints import SshAddress, filled_in
from clbalance.policy.placement.explain import NodeState, node_state
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.render.reports.admin.doctor import FoldedFinding, HealthReport, NodeHealth
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.store.state import SqliteStore
from clbalance.transport.group_check import look_at_groups
from clbalance.transport.groups import ConfiguredGroups, load_groups
from clbalance.transport.reach import raise_file_limit, this_node
from clbalance.transport.ssh_command import ssh_call
from clbalance.wiring.folders import working_directory
from clbalance.wiring.plugins.wanted import entry_point_problems, group_plugins, site_probe_of
from clbalance.wiring.ssh_options import all_ssh_options, ssh_words

_VERSION_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """Findings about this host. Not `reaches_nodes`: the nodes are unknown, or there is no ssh to ask them."""

    findings: tuple[Finding, ...]
    reaches_nodes: bool


def check_this_host(nodes: NodeOptions, ssh: SshOptions) -> HostCheck:
    """Every check that needs no node. Raises `SettingsError` only for a groups file named by `--groups-conf`."""
    found = [*_state()]
    try:
        settings = load_settings(os.environ, working_directory())
        ssh_words(settings.ssh.path, "`ssh.path`")
        site_probe_of(settings)
    except (SettingsError, UsageError) as error:
        found = [*_ssh(["ssh"]), *found, wrong("settings", error.message, error.hint)]
        return HostCheck(findings=tuple(found), reaches_nodes=False)
    program = ssh_call(settings.ssh.path, "")
    found = [*_ssh(program), *found]
    can_reach = shutil.which(program[0]) is not None
    found += [wrong("plugins", problem.message, problem.hint) for problem in entry_point_problems(settings)]
    found += open_files_findings(raise_file_limit(), ssh.fanout or settings.ssh.fanout)
    try:
        groups = _groups(nodes, settings)
    except SettingsError as error:
        if nodes.groups_conf is not None:
            raise
        return HostCheck(findings=(*found, wrong("groups", error.message, error.hint)), reaches_nodes=False)
    if groups is not None:
        seen = look_at_groups(groups)
        found += [wrong("groups", problem.message, problem.hint) for problem in seen.problems]
        found += group_findings(seen.empty, seen.unusable)
    elif not nodes.names_nodes:
        return HostCheck(findings=(*found, _no_nodes()), reaches_nodes=False)
    return HostCheck(findings=tuple(found), reaches_nodes=can_reach)


def _no_nodes() -> Finding:
    what = "no nodes named and no groups configured: only this host was checked"
    hint = "`clbalance doctor node[1-4]`, or copy groups.conf.example to ~/.config/clustershell/groups.conf"
    return note("nodes", what, hint)


def _groups(nodes: NodeOptions, settings: Settings) -> ConfiguredGroups | None:
    named = nodes.groups_conf or settings.groups_conf
    return load_groups(Path(named) if named else None, plugins=group_plugins(settings))


def _ssh(program: Sequence[str]) -> Iterator[Finding]:
    is_there = shutil.which(program[0]) is not None
    version = "" if is_there else None
    if is_there:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            asked = subprocess.run(
                [*program, "-V"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_VERSION_WITHIN_S,
                check=False,
            )
            version = (asked.stderr or asked.stdout).decode(errors="replace").strip()
    return ssh_findings(version)


def _state() -> Iterator[Finding]:
    try:
        place = state_directory(os.environ, this_machine())
        SqliteStore.open(place.path).close()
    except StoreError as error:
        yield wrong("state", error.message, error.hint)
        return
    if place.note:
        yield note("state", place.note, "set `CLBALANCE_STATE_DIR` to a folder of your own on a disk of this machine")


# Checks on nodes.


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChecks:
    """The answers of the nodes; or `findings` that say why the node names could not be resolved."""

    findings: tuple[Finding, ...] = ()
    examinations: tuple[Examination, ...] = ()
    addresses: Mapping[NodeName, SshAddress] = field(default_factory=dict)
    """Where ssh looks for those that are silent."""


def check_nodes(nodes: NodeOptions, ssh: SshOptions, console: Console, here: HostCheck) -> NodeChecks:
    """Ask the nodes, if they can be reached. Raises `UsageError` for options that were typed wrong."""
    if not here.reaches_nodes:
        return NodeChecks()
    # An error of the state folder is in the report already.
    quiet = console.quiet or any(one.check == "state" for one in here.findings)
    try:
        cluster = cluster_context(nodes, ssh, replace(console, quiet=quiet))
    except NodeNameError as error:
        if nodes.names_nodes or nodes.exclude or nodes.exclude_groups:
            raise  # the user typed the name
        return NodeChecks(findings=(wrong("nodes", error.message, error.hint),))
    except SettingsError as error:
        is_told = any(one.what == error.message for one in here.findings)
        return NodeChecks(findings=() if is_told else (wrong("nodes", error.message, error.hint),))
    examinations = _ask(_connecting_anew(cluster))
    silent = [one.node for one in examinations if isinstance(one, Silent)]
    return NodeChecks(examinations=examinations, addresses=_addresses(cluster, silent) if silent else {})


def _connecting_anew(cluster: ClusterContext) -> ClusterContext:
    """Without connections of earlier calls: over one of these, a login that is refused now would look well."""
    settings = replace(cluster.settings, ssh=replace(cluster.settings.ssh, control_persist_s=None))
    here = frozenset({this_node()} if cluster.is_here else ())
    with connecting_anew():
        return replace(cluster, transport=ssh_transport(settings, cluster.ssh.ssh_options or (), here))


def _addresses(cluster: ClusterContext, silent: Sequence[NodeName]) -> Mapping[NodeName, SshAddress]:
    from clbalance.transport.ssh_config import addresses_of  # where all is well, nobody asks

    ssh = cluster.settings.ssh
    return addresses_of(silent, ssh.path, all_ssh_options(cluster.settings, cluster.ssh.ssh_options or ()), ssh.user)


def _ask(cluster: ClusterContext) -> tuple[Examination, ...]:
    with cluster.services(meanwhile="clbalance.cli.admin.doctor") as services:
        examinations = check_up(services, cluster.candidates.nodes, checkup_script())
        forget_refusals(services, [one.node for one in examinations if may_take_jobs(one)])
        return examinations


# One report of all findings: folded for people, one by one for programs. Pure.

_ANY_TIME = datetime.fromtimestamp(0, UTC)


def health_report(
    here: Iterable[Finding],
    examinations: Sequence[Examination],
    addresses: Mapping[NodeName, SshAddress] = MappingProxyType({}),
) -> HealthReport:
    """Errors first, this host before nodes, nodes in the order in which they were named."""
    there = (finding for examination in examinations for finding in node_findings(examination))
    findings = worst_first([*here, *there])
    return HealthReport(
        findings=tuple(_addressed(finding, addresses) for finding in findings),
        folded=_folded(findings, addresses),
        nodes=tuple(_node_health(examination) for examination in examinations),
    )


def health_exit_code(report: HealthReport) -> ExitCode:
    """4 if anything is wrong; notes do not count."""
    is_wrong = any(finding.severity is Severity.WRONG for finding in report.findings)
    return ExitCode.SOME_NODES_FAILED if is_wrong else ExitCode.DONE


def _addressed(finding: Finding, addresses: Mapping[NodeName, SshAddress]) -> Finding:
    nodes = [] if finding.node is None else [finding.node]
    return replace(finding, hint=filled_in(finding.hint, nodes, addresses))


def _folded(findings: Iterable[Finding], addresses: Mapping[NodeName, SshAddress]) -> tuple[FoldedFinding, ...]:
    """Merge equal findings of several nodes into one, at the position of the first."""
    together: dict[Finding, list[NodeName]] = {}
    for finding in findings:
        nodes = together.setdefault(replace(finding, node=None), [])
        if finding.node is not None:
            nodes.append(finding.node)
    return tuple(
        FoldedFinding(
            severity=one.severity,
            check=one.check,
            node_set=fold(nodes),
            what=one.what,
            hint=filled_in(one.hint, nodes, addresses),
        )
        for one, nodes in together.items()
    )


def _node_health(examination: Examination) -> NodeHealth:
    match examination:
        case Examined():
            return NodeHealth(examination=examination, state=NodeState.UP)
        case Silent():
            # Thresholds and time do not matter for a silent node.
            condition = node_state(examination, Thresholds(), _ANY_TIME)
            return NodeHealth(examination=examination, state=condition.state, reason=condition.reason)
        case _:
            assert_never(examination)
