"""Which nodes a rollback is for, in which order, and what it does there."""

from datetime import UTC, datetime

import pytest

from clbalance.model.play_run import NodeProgress, NodeState, Result, StepEnded, StepList, StepRecord, StepState
from clbalance.model.playbook import Canary, CheckHealth, Playbook, Share, ShellText
from clbalance.policy.play.undo import last_states, rollback_of, undo
from tests.engine.play.scripted import book, drained_book, ran

_AT = datetime(2026, 3, 1, tzinfo=UTC)
_BOOK = drained_book(ran("a", register="was"), rollback=[ran("back")])
_DRAIN, _A = 0, 1
N = NodeState


def record(node: str, index: int, state: StepState | None = StepState.OK) -> StepRecord:
    ended = None if state is None else StepEnded(state=state, result=Result(rc=0, out=f"of {node}"))
    return StepRecord(
        node=node, steps=StepList.STEPS, index=index, attempt=1, begun_at=_AT, ended=ended, ended_at=ended and _AT
    )


def progress(node: str, state: NodeState, *records: StepRecord, rolled_back: bool = False) -> NodeProgress:
    return NodeProgress(node=node, state=state, records=records, rolled_back=rolled_back)


def done(node: str) -> NodeProgress:
    return progress(node, N.OK, record(node, _DRAIN), record(node, _A))


def left_out(playbook: Playbook, one: NodeProgress, **words: object) -> str:
    """Why the node is not rolled back; empty: it is."""
    return undo(playbook, [one], **{"rolled_back": {}, **words}).left_out.get(one.node, "")  # type: ignore[arg-type]


def test_the_last_node_is_the_first_and_each_keeps_what_its_steps_have_registered() -> None:
    found = undo(_BOOK, [done("n1"), done("n2"), done("n3")], rolled_back={})
    assert found.nodes == ("n3", "n2", "n1")
    assert found.registered["n2"]["was"].out == "of n2"


def test_a_turn_drains_rolls_back_checks_and_resumes() -> None:
    health = CheckHealth(program=ShellText(text="true"))
    whole = drained_book(ran("a"), rollback=[ran("back")], health=health, canary=Canary(nodes=Share(number=1)))
    found = rollback_of(whole)
    assert [step.name for step in found.steps] == ["drain", "back", "health", "resume"]
    assert (found.rollback, found.rollout.canary, found.health is not None) == ((), None, True)
    assert [step.name for step in rollback_of(book(ran("a"), rollback=[ran("back")])).steps] == ["back"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        pytest.param(done("n"), "", id="done"),
        pytest.param(progress("n", N.FAILED, record("n", _A, StepState.FAILED)), "", id="failed"),
        pytest.param(progress("n", N.RUNNING, record("n", _A)), "", id="interrupted after a step"),
        pytest.param(progress("n", N.NOT_STARTED), "nothing was done there", id="not started"),
        pytest.param(progress("n", N.LEFT_OUT, record("n", _DRAIN)), "nothing was done there", id="only drained"),
        pytest.param(
            progress("n", N.FAILED, record("n", _A, StepState.FAILED), rolled_back=True),
            "its rollback has run already",
            id="rolled back in its turn",
        ),
        pytest.param(
            progress("n", N.RUNNING, record("n", _A, None)),
            "a: it was begun, and its end is not known; `-w` does it nevertheless",
            id="a step may run there",
        ),
    ],
)
def test_a_node_is_rolled_back_if_something_was_done_there(one: NodeProgress, reason: str) -> None:
    assert left_out(_BOOK, one) == reason


def test_a_node_where_a_step_may_have_run_is_rolled_back_if_it_is_named() -> None:
    assert left_out(_BOOK, progress("n", N.UNCERTAIN, record("n", _A, None)), named=["n"]) == ""
    assert left_out(_BOOK, done("n"), rolled_back={"n": N.UNCERTAIN}, named=["n"]) == ""


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (N.OK, "its rollback has run already"),
        (N.FAILED, ""),
        (N.UNCERTAIN, "a step of an earlier rollback may have run; `-w` does it nevertheless"),
    ],
)
def test_an_earlier_rollback_is_not_repeated(state: NodeState, reason: str) -> None:
    earlier = [[progress("n", N.FAILED)], [progress("n", state), progress("m", N.NOT_STARTED)]]
    assert last_states(earlier) == {"n": state}
    assert left_out(_BOOK, done("n"), rolled_back=last_states(earlier)) == reason
