"""The progress of a run of a playbook on a terminal."""

from collections.abc import Callable

import pytest

from clbalance.render.reports.play.explain import ExplainedPlaybook
from clbalance.render.reports.play.explain_step import explained_steps
from clbalance.render.reports.play.live import LivePlay, LiveTurn, live_lines
from tests.playbook.build import read


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


def test_a_long_name_of_a_step_hides_neither_its_attempt_nor_its_time() -> None:
    turn = LiveTurn(node="node1", step="upgrade " * 20, at=1, of=2, seconds=75.0, note="attempt 2")
    (line, _) = live_lines(LivePlay(total=1, counts=(), turns=(turn,)), 60, 16)
    assert len(line) == 59
    assert line.endswith("…, attempt 2  75 s")


def test_the_lines_that_are_not_shown_of_a_program_are_counted_without_those_that_say_nothing() -> None:
    (one, two) = explained_steps(read('steps: [{run: "set -eu\\na"}, {run: "set -eu\\na\\nb"}]').steps)
    assert (one.does, one.more) == ("run `a`", ())
    assert (two.does, two.more) == ("run `a …`", ("The program has 1 line more.",))


def test_a_step_that_variables_rule_out_is_explained_as_skipped() -> None:
    (step,) = explained_steps(read("vars: {x: no}\nsteps: [{run: a, when: vars.x = yes}]").steps)
    assert step.more[1:] == ("With these variables it is skipped on all nodes.",)


def test_a_playbook_that_tolerates_all_failures_is_not_said_to_stop() -> None:
    told = ExplainedPlaybook(playbook=read("max_fail_percentage: 100\nsteps: [{run: a}]"), values=())
    stops = told.json()["stops"]
    assert isinstance(stops, list)
    assert stops[0] == "However many nodes fail, the others have their turns."
