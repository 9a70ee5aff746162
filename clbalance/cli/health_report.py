"""Findings of this host and of nodes as one report: folded for people, one by one for programs. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import assert_never

from clbalance.checkup import Examination, Examined, Finding, Severity
from clbalance.errors import ExitCode
from clbalance.model import NodeName, Silent
from clbalance.nodes import fold
from clbalance.policy.health import node_findings, worst_first
from clbalance.policy.state import NodeState, node_state
from clbalance.policy.thresholds import Thresholds
from clbalance.render.reports.doctor import FoldedFinding, HealthReport, NodeHealth

_ANY_TIME = datetime.fromtimestamp(0, UTC)


def health_report(here: Iterable[Finding], examinations: Sequence[Examination]) -> HealthReport:
    """Wrong things first, this host before nodes, nodes in the order in which they were named."""
    there = (finding for examination in examinations for finding in node_findings(examination))
    findings = worst_first([*here, *there])
    return HealthReport(
        findings=tuple(_addressed(finding) for finding in findings),
        folded=_folded(findings),
        nodes=tuple(_node_health(examination) for examination in examinations),
    )


def health_exit_code(report: HealthReport) -> ExitCode:
    """4 if anything is wrong; notes are fine."""
    is_wrong = any(finding.severity is Severity.WRONG for finding in report.findings)
    return ExitCode.SOME_NODES_FAILED if is_wrong else ExitCode.DONE


def _addressed(finding: Finding) -> Finding:
    return replace(finding, hint=_hint(finding, [] if finding.node is None else [finding.node]))


def _hint(finding: Finding, nodes: Sequence[NodeName]) -> str:
    return finding.hint.replace("{node}", nodes[0] if len(nodes) == 1 else "NODE")


def _folded(findings: Iterable[Finding]) -> tuple[FoldedFinding, ...]:
    """Equal ones of several nodes as one, where the first of them stood."""
    together: dict[Finding, list[NodeName]] = {}
    for finding in findings:
        nodes = together.setdefault(replace(finding, node=None), [])
        if finding.node is not None:
            nodes.append(finding.node)
    return tuple(
        FoldedFinding(
            severity=one.severity, check=one.check, node_set=fold(nodes), what=one.what, hint=_hint(one, nodes)
        )
        for one, nodes in together.items()
    )


def _node_health(examination: Examination) -> NodeHealth:
    match examination:
        case Examined():
            return NodeHealth(examination=examination, state=NodeState.UP)
        case Silent():
            # Thresholds and time matter to nodes that answer.
            told = node_state(examination, Thresholds(), _ANY_TIME)
            return NodeHealth(examination=examination, state=told.state, reason=told.reason)
        case _:
            assert_never(examination)
