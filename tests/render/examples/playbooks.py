"""Examples of the reports on playbooks and their runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.model import NodeName
from clbalance.model.play_run import (
    NodeProgress,
    NodeState,
    PlayRun,
    PlaySummary,
    Result,
    RunState,
    StepEnded,
    StepState,
)
from clbalance.model.playbook import Canary, DrainNode, OnDeadline, Share, Step
from clbalance.playbook.document import read_document
from clbalance.playbook.origins import Origin, Value, values_of
from clbalance.render.report import Report
from clbalance.render.reports.play.dry_run import DryRun
from clbalance.render.reports.play.explain import ExplainedPlaybook
from clbalance.render.reports.play.history import PlayHistoryReport
from clbalance.render.reports.play.plan import PlannedTurn, PlayPlan
from clbalance.render.reports.play.playbooks import CheckedPlaybook, PlaybookRow, Playbooks
from clbalance.render.reports.play.result import PlayResult
from clbalance.render.reports.play.show import FileNow, PlayShow
from tests.engine.play.scripted import book, ran
from tests.playbook.build import WHOLE, read

from . import Example

_DRAIN = Step(name="drain", path="drain", line=1, action=DrainNode(deadline_s=7200.0, on_deadline=OnDeadline.SKIP))
_BOOK = book(
    _DRAIN,
    ran("upgrade"),
    rollback=[ran("downgrade")],
    canary=Canary(nodes=Share(number=1), soak_s=300.0),
    window=Share(number=4),
    max_fail_percentage=25.0,
)


def _plan() -> PlayPlan:
    turns = (
        PlannedTurn(node="node3", part="canary", why="load 0.02, no jobs"),
        PlannedTurn(node="node1", part="", why="load 0.55, 2 jobs"),
        PlannedTurn(node="node2", part="", why="last, its load is unknown: no answer", is_known=False),
    )
    return PlayPlan(playbook=_BOOK, turns=turns, at_once=4, pool=10, min_available=8)


def _dry_run() -> DryRun:
    would = StepEnded(state=StepState.OK, reason="would transfer 1 file", result=Result(rc=0, out="new etc/motd\n"))
    cannot = StepEnded(state=StepState.FAILED, reason="no answer")
    upgrade = ran("upgrade")
    return DryRun(plan=_plan(), checked={"node3": ((upgrade, would),), "node1": ((upgrade, cannot),)})


def _result() -> PlayResult:
    nodes = (
        NodeProgress(node="node3", state=NodeState.OK),
        NodeProgress(node="node1", state=NodeState.FAILED, reason="upgrade: exit code 3", rolled_back=True),
        NodeProgress(node="node4", state=NodeState.OK),
        NodeProgress(node="node2", state=NodeState.UNCERTAIN, reason="upgrade: \x1b[31mconnection lost"),
        NodeProgress(node="node5"),
    )
    return PlayResult(number=12, playbook=_BOOK, state=RunState.STOPPED, reason="2 of 5 nodes have failed", nodes=nodes)


_ROWS = (
    PlaybookRow(
        name="rolling-upgrade",
        file="/usr/share/clbalance/rolling-upgrade.yml",
        description="upgrade and reboot nodes with work on them, least loaded first",
        variables={"upgrade": "apt-get upgrade", "reboot": "reboot"},
    ),
    PlaybookRow(name="broken", file="/etc/clbalance/playbooks/broken.yml", fault="broken.yml:3:1: it is empty"),
)
_WHOLE = read(WHOLE)


def _explained(text: str, nodes: tuple[NodeName, ...] | None, **typed: str) -> ExplainedPlaybook:
    values = values_of(read_document(text.encode(), "p.yml"), typed)
    return ExplainedPlaybook(playbook=read(text, **typed), values=values, nodes=nodes, pool=nodes)


_EXPLAINED = _explained(WHOLE, tuple(NodeName(f"n{number}") for number in range(1, 21)), package="linux-image-6.12")
_SHORTEST = _explained("steps: [{run: uptime}]", None)

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_RUN = PlayRun(
    number=12,
    playbook="rolling-upgrade",
    file="/etc/clbalance/playbooks/rolling-upgrade.yml",
    text="steps: [{run: a}]",
    text_hash="ab" * 32,
    typed={"package": "kernel"},
    by="root",
    submit_host="login1",
    started_at=_NOW - timedelta(minutes=20),
    ended_at=_NOW - timedelta(minutes=5),
    state=RunState.STOPPED,
    reason="2 of 5 nodes have failed",
    nodes=tuple(one.node for one in _result().nodes),
)
_SUMMARY = PlaySummary(run=_RUN, counts={NodeState.OK: 2, NodeState.FAILED: 1, NodeState.NOT_STARTED: 1})


_BACK = PlaySummary(
    run=replace(_RUN, number=13, rolls_back=12, state=RunState.COMPLETED, reason="", ended_at=_NOW),
    counts={NodeState.OK: 2},
)


def _show(run: PlayRun, nodes: tuple[NodeProgress, ...]) -> PlayShow:
    return PlayShow(run=run, nodes=nodes, playbook=_BOOK, file_now=FileNow.CHANGED, rollbacks=(13,))


EXAMPLES = (
    Example("playbooks", (Playbooks(_ROWS),)),
    Example(
        "playbook-checked",
        (CheckedPlaybook(playbook=_WHOLE, file="/etc/clbalance/playbooks/everything.yml", nodes=(NodeName("n1"),)),),
    ),
    Example("playbook-explained", (_EXPLAINED,)),
    Example("playbook-explained-shortest", (_SHORTEST,)),
    Example("play-plan", (_plan(),)),
    Example("play-dry-run", (_dry_run(),)),
    Example("play-result", (_result(),)),
    Example("play-history", (PlayHistoryReport(runs=(_BACK, _SUMMARY), now=_NOW),)),
    Example("play-show", (_show(_SUMMARY.run, _result().nodes),)),
)


def hostile(one: str, other: str) -> list[Report]:
    row = PlaybookRow(name=one, file=other, description=other, variables={one: other}, fault=one)
    step = replace(_DRAIN, name=one)
    playbook = replace(_BOOK, name=one, steps=(step,), hosts=other)
    turns = (PlannedTurn(node=NodeName(one), part="", why=other),)
    nodes = (NodeProgress(node=NodeName(one), state=NodeState.FAILED, reason=other),)
    run = replace(_SUMMARY.run, playbook=one, file=other, by=one, submit_host=other, reason=one, typed={one: other})
    return [
        Playbooks((row,)),
        CheckedPlaybook(playbook=playbook, file=other),
        ExplainedPlaybook(playbook=playbook, values=(Value(name=one, text=other, origin=Origin.PLAYBOOK, line=1),)),
        PlayPlan(playbook=playbook, turns=turns, at_once=1, pool=1, min_available=None),
        DryRun(
            plan=PlayPlan(playbook=playbook, turns=turns, at_once=1),
            checked={one: ((step, StepEnded(state=StepState.OK, reason=other, result=Result(rc=0, out=one))),)},
        ),
        PlayResult(number=1, playbook=playbook, state=RunState.STOPPED, reason=other, nodes=nodes),
        PlayHistoryReport(runs=(replace(_SUMMARY, run=run),), now=_NOW),
        _show(run, nodes),
    ]
