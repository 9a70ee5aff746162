"""What people see of a run of a playbook: its plan, its progress, and its end."""

from collections.abc import Callable

import pytest

from clbalance.model.play_run import NodeProgress, NodeState, RunState
from clbalance.model.playbook import Canary, DrainNode, OnDeadline, Share, Step
from clbalance.render.reports.play.live import LivePlay, LiveTurn, live_lines
from clbalance.render.reports.play.plan import PlannedTurn, PlayPlan
from clbalance.render.reports.play.result import PlayResult
from tests.engine.play.scripted import book, ran
from tests.render.examples.__init__ import DISPLAYS

_DRAIN = Step(name="drain", path="drain", line=1, action=DrainNode(deadline_s=7200.0, on_deadline=OnDeadline.SKIP))
_BOOK = book(
    _DRAIN,
    ran("upgrade"),
    rollback=[ran("downgrade")],
    canary=Canary(nodes=Share(number=1), soak_s=300.0),
    window=Share(number=4),
    max_fail_percentage=25.0,
)


def plan() -> PlayPlan:
    turns = (
        PlannedTurn(node="node3", part="canary", why="load 0.02, no jobs"),
        PlannedTurn(node="node1", part="", why="load 0.55, 2 jobs"),
        PlannedTurn(node="node2", part="", why="last, its load is unknown: no answer", is_known=False),
    )
    return PlayPlan(playbook=_BOOK, turns=turns, at_once=4, pool=10, min_available=8)


def result() -> PlayResult:
    nodes = (
        NodeProgress(node="node3", state=NodeState.OK),
        NodeProgress(node="node1", state=NodeState.FAILED, reason="upgrade: exit code 3", rolled_back=True),
        NodeProgress(node="node4", state=NodeState.OK),
        NodeProgress(node="node2", state=NodeState.UNCERTAIN, reason="upgrade: \x1b[31mconnection lost"),
        NodeProgress(node="node5"),
    )
    return PlayResult(number=12, playbook=_BOOK, state=RunState.STOPPED, reason="2 of 5 nodes have failed", nodes=nodes)


@pytest.mark.parametrize("form", DISPLAYS)
def test_the_plan_is_as_it_was(form: str, golden: Callable[[str, str], None]) -> None:
    golden(f"play-plan-{form}.txt", DISPLAYS[form].text(plan()))


@pytest.mark.parametrize("form", DISPLAYS)
def test_the_result_is_as_it_was(form: str, golden: Callable[[str, str], None]) -> None:
    golden(f"play-result-{form}.txt", DISPLAYS[form].text(result()))


def live(turns: int) -> LivePlay:
    return LivePlay(
        total=40,
        counts=(("ok", 7), ("failed", 1)),
        turns=tuple(
            LiveTurn(
                node=f"node{at}", step="upgrade", at=2, of=5, seconds=10.0 * at, note="attempt 2" if at == 1 else ""
            )
            for at in range(1, turns + 1)
        ),
        holding="`min_available` does not allow a further drain now",
        seconds=300.0,
    )


def test_progress_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    golden("play-live-80.txt", "\n".join(live_lines(live(3), 80, 16)) + "\n")


@pytest.mark.parametrize("rows", [2, 3, 5, 24])
def test_progress_fits_any_terminal(rows: int) -> None:
    lines = live_lines(live(60), 30, rows)
    assert len(lines) <= rows
    assert all(len(line) < 30 for line in lines)
