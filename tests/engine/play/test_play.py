"""A run of a playbook: which nodes are touched, when it stops, and what is left."""

from dataclasses import replace

import pytest

from clbalance.errors import Interrupted
from clbalance.model.play_run import NodeState, Result, RunState, StepEnded, StepState
from clbalance.model.playbook import Canary, CheckHealth, DrainNode, Pause, Share, ShellText, Step
from clbalance.policy.play.resume import continued
from tests.engine.play.scripted import (
    OK,
    REFUSED,
    World,
    book,
    drained_book,
    failed,
    ran,
    rolled_back,
    scripted,
    states,
    unknown,
)

N = NodeState


def test_each_node_does_all_steps_in_order() -> None:
    world = World()
    ended = world.play(book(ran("a"), ran("b")), 3)
    assert ended.state is RunState.COMPLETED
    assert set(states(ended).values()) == {N.OK}
    assert [name for _, node, name in world.calls if node == "n2"] == ["a", "b"]
    assert world.journal.ends == [(RunState.COMPLETED, "")]


def test_the_window_slides_so_that_a_slow_node_holds_up_itself_alone() -> None:
    world = World(script=lambda node, step, call: (100.0 if node == "n1" else 10.0, OK))
    world.play(book(ran("a"), window=Share(number=2)), 8)
    assert world.most_turns == 2
    assert world.seconds == 100.0


def test_serial_waits_for_the_slowest_of_each_batch() -> None:
    world = World(script=lambda node, step, call: (100.0 if node in ("n1", "n5") else 10.0, OK))
    world.play(book(ran("a"), serial=(Share(number=4),)), 8)
    assert world.seconds == 200.0


def test_the_last_size_of_serial_is_repeated() -> None:
    world = World()
    world.play(book(ran("a"), serial=(Share(number=1), Share(number=2))), 6)
    assert sorted(world.began_at().values()) == [0, 1, 1, 2, 2, 3]


def test_no_more_turns_run_at_once_than_connections_are_allowed() -> None:
    world = World()
    world.play(book(), 9, most_at_once=3)
    assert world.most_turns == 3


def test_the_first_failure_stops_the_run_and_what_runs_comes_to_its_end() -> None:
    world = World(script=scripted({("n1", "a"): failed()}))
    ended = world.play(book(ran("a"), ran("b"), window=Share(number=2)), 6)
    assert ended.state is RunState.STOPPED
    assert states(ended) == {"n1": N.FAILED, "n2": N.OK, **dict.fromkeys(("n3", "n4", "n5", "n6"), N.NOT_STARTED)}
    assert ended.reason == "1 of 6 nodes have failed, `max_fail_percentage` is 0"


def test_failures_within_the_limit_do_not_stop_the_run() -> None:
    world = World(script=scripted({("n1", "a"): failed()}))
    ended = world.play(book(max_fail_percentage=25.0), 4)
    assert ended.state is RunState.COMPLETED
    assert states(ended)["n1"] is N.FAILED


def test_a_failure_counts_while_its_rollback_still_runs() -> None:
    world = World(script=lambda node, step, call: (50.0 if step == "undo" else 1.0, failed() if node == "n1" else OK))
    ended = world.play(book(ran("a"), rollback=[ran("undo")], window=Share(number=1)), 4)
    assert world.began() == ["n1"]
    assert states(ended)["n2"] is N.NOT_STARTED


def test_a_failed_node_is_rolled_back_and_left_drained_with_its_reason() -> None:
    world = World(script=scripted({("n1", "a"): failed("exit code 3")}))
    ended = world.play(drained_book(ran("a"), rollback=[ran("undo")]), 1)
    assert rolled_back(ended) == {"n1"} or "rollback" in ended.nodes[0].reason
    assert world.kept == {"n1": "a: exit code 3"}
    assert world.facts["n1", "undo"].failed == "a: exit code 3"
    assert not world.began("resume")


def test_a_node_whose_drain_fails_has_nothing_to_roll_back() -> None:
    world = World(script=scripted({("n1", "drain"): failed("jobs still run")}))
    world.play(drained_book(ran("a"), rollback=[ran("undo")]), 1)
    assert not world.began("undo")
    assert world.kept == {"n1": "drain: jobs still run"}


def test_a_step_whose_end_is_unknown_leaves_its_node_uncertain_and_is_not_rolled_back() -> None:
    world = World(script=scripted({("n1", "a"): unknown()}))
    ended = world.play(drained_book(ran("a"), rollback=[ran("undo")]), 1)
    assert states(ended) == {"n1": N.UNCERTAIN}
    assert not world.began("undo")
    assert "the connection was lost" in world.kept["n1"]


def test_a_node_left_out_is_no_failure() -> None:
    left_out = StepEnded(state=StepState.LEFT_OUT, reason="jobs still run")
    world = World(script=scripted({("n1", "drain"): left_out}))
    ended = world.play(drained_book(ran("a"), window=Share(number=1)), 3)
    assert ended.state is RunState.COMPLETED
    assert states(ended) == {"n1": N.LEFT_OUT, "n2": N.OK, "n3": N.OK}


def test_a_step_is_tried_again_after_its_delay() -> None:
    world = World(script=lambda node, step, call: (1.0, failed() if call < 2 else OK))
    ended = world.play(book(ran("a", retries=2, delay_s=10.0)), 1)
    assert [at for at, _, _ in world.calls] == [0.0, 11.0, 22.0]
    assert states(ended) == {"n1": N.OK}


def test_a_step_with_ignore_errors_does_not_end_the_turn() -> None:
    world = World(script=scripted({("n1", "a"): failed()}))
    ended = world.play(book(ran("a", ignore_errors=True), ran("b")), 1)
    assert states(ended) == {"n1": N.OK}


def test_a_step_that_may_be_repeated_and_whose_errors_are_ignored_does_not_end_the_turn_if_its_end_is_unknown() -> None:
    world = World(script=scripted({("n1", "a"): unknown()}))
    assert states(world.play(book(ran("a", ignore_errors=True, idempotent=True), ran("b")), 1)) == {"n1": N.OK}
    assert states(world.play(book(ran("a", ignore_errors=True), ran("b")), 1)) == {"n1": N.UNCERTAIN}


# -- canary


def test_the_others_wait_for_the_soak_and_the_health_of_the_canary() -> None:
    world = World()
    health = CheckHealth(program=ShellText(text="true"))
    world.play(book(ran("a"), canary=Canary(nodes=Share(number=1), soak_s=300.0), health=health), 4)
    assert world.began_at() == {"n1": 0.0, "n2": 303.0, "n3": 303.0, "n4": 303.0}


def test_a_canary_that_fails_stops_the_run_and_all_its_nodes_are_rolled_back() -> None:
    world = World(script=scripted({("n2", "a"): failed()}))
    playbook = book(ran("a"), rollback=[ran("undo")], canary=Canary(nodes=Share(number=2)), max_fail_percentage=100.0)
    ended = world.play(playbook, 5)
    assert ended.state is RunState.STOPPED
    assert rolled_back(ended) == {"n1", "n2"}
    assert sorted(world.began()) == ["n1", "n2"]


def test_a_canary_that_is_sick_after_its_soak_is_drained_and_rolled_back() -> None:
    world = World(script=scripted({("n1", "health again"): failed()}))
    health = CheckHealth(program=ShellText(text="true"))
    canary = Canary(nodes=Share(number=1), soak_s=60.0)
    ended = world.play(drained_book(ran("a"), rollback=[ran("undo")], canary=canary, health=health), 3)
    assert [name for _, _, name in world.calls] == ["drain", "a", "health", "resume", "health again", "drain", "undo"]
    assert rolled_back(ended) == {"n1"}
    assert world.kept == {"n1": "the canary failed: n1"}


def test_an_inconclusive_canary_pauses_the_run_where_nobody_answers() -> None:
    world = World(script=scripted({("n1", "a"): unknown()}))
    ended = world.play(book(ran("a"), canary=Canary(nodes=Share(number=1))), 3)
    assert (ended.state, world.began()) == (RunState.PAUSED, ["n1"])
    assert world.questions == ["it is unknown whether the canary is healthy: n1. Go on with the other nodes?"]


def test_somebody_may_widen_an_inconclusive_canary() -> None:
    world = World(script=scripted({("n1", "health again"): unknown()}), answers_to=lambda question: True)
    health = CheckHealth(program=ShellText(text="true"))
    ended = world.play(book(ran("a"), canary=Canary(nodes=Share(number=1), soak_s=1.0), health=health), 3)
    assert set(states(ended).values()) == {N.OK}


def test_a_canary_with_pause_asks_before_the_others() -> None:
    world = World(answers_to=lambda question: True)
    ended = world.play(book(ran("a"), canary=Canary(nodes=Share(number=1), pause=True)), 3)
    assert world.questions == ["the canary is healthy: n1. Go on with the other nodes?"]
    assert ended.state is RunState.COMPLETED


# -- minimum, limits, pauses


def test_a_drain_that_the_minimum_does_not_allow_is_tried_again_when_a_turn_ends() -> None:
    busy: set[str] = set()

    def script(node: str, step: str, call: int) -> tuple[float, StepEnded]:
        if step == "drain":
            if busy - {node}:
                return 0.5, REFUSED
            busy.add(node)
        if step == "resume":
            busy.discard(node)
        return 3.0, OK

    world = World(script=script)
    ended = world.play(drained_book(ran("a")), 3)
    assert set(states(ended).values()) == {N.OK}
    assert world.began("a") == ["n1", "n2", "n3"]


def test_the_run_stops_if_the_minimum_allows_no_drain_in_time() -> None:
    world = World(script=scripted({("n1", "drain"): REFUSED}))
    ended = world.play(drained_book(ran("a"), window=Share(number=1)), 3)
    assert ended.minimum
    assert set(states(ended).values()) == {N.NOT_STARTED}
    assert not world.kept
    assert 600 <= world.seconds <= 620


def test_the_deadline_of_the_drain_bounds_the_wait_for_the_minimum() -> None:
    world = World(script=scripted({("n1", "drain"): REFUSED}))
    drain = Step(name="drain", path="drain", line=1, action=DrainNode(deadline_s=60.0))
    assert world.play(book(drain, ran("a")), 1).minimum
    assert world.seconds <= 80


def test_without_a_minimum_it_is_the_drain_of_another_run_that_stops_this_one() -> None:
    world = World(script=scripted({("n1", "drain"): REFUSED}))
    assert world.play(drained_book(ran("a")), 1).reason == "its nodes are drained by another run"
    with_minimum = World(script=scripted({("n1", "drain"): REFUSED}))
    ended = with_minimum.play(drained_book(ran("a"), min_available=Share(number=1)), 1)
    assert ended.reason == "`min_available` does not allow a further drain"


def test_stop_after_pauses_the_run() -> None:
    world = World()
    ended = world.play(book(ran("a"), stop_after=Share(number=2)), 5)
    assert ended.state is RunState.PAUSED
    assert len(world.began()) == 2


def test_throttle_limits_one_step_alone() -> None:
    world = World()
    world.play(book(ran("a"), ran("b", throttle=1)), 3)
    assert sorted(world.began_at("a").values()) == [0, 0, 0]
    assert sorted(world.began_at("b").values()) == [1, 2, 3]


def test_run_once_runs_on_one_node_and_its_result_counts_for_all() -> None:
    done = StepEnded(state=StepState.OK, result=Result(rc=0, out="v2"))
    world = World(script=scripted({("n1", "a"): done}))
    world.play(book(ran("a", run_once=True, register="version"), ran("b")), 3)
    assert world.began("a") == ["n1"]
    assert world.facts["n3", "b"].registered["version"].out == "v2"


def test_a_pause_without_an_answer_pauses_the_run_and_goes_on_there() -> None:
    ask = Step(name="ask", path="steps[1]", line=1, action=Pause(ask="ready?"))
    world = World()
    ended = world.play(book(ran("a"), ask, ran("b"), window=Share(number=1)), 3)
    assert (ended.state, world.began("b")) == (RunState.PAUSED, [])
    before = continued(book(ran("a"), ask, ran("b")), ended.nodes)
    again = World(answers_to=lambda question: True)
    assert again.play(book(ran("a"), ask, ran("b")), 3, before=before).state is RunState.COMPLETED
    assert "n1" not in again.began("a")


# -- interruptions


def test_an_interrupted_run_goes_on_where_each_node_stood() -> None:
    world = World(script=lambda node, step, call: (10.0, OK), interrupt_at=15.0)
    playbook = book(ran("a"), ran("b", idempotent=True), window=Share(number=1))
    with pytest.raises(Interrupted):
        world.play(playbook, 2)
    assert world.journal.ends == [(RunState.INTERRUPTED, "by a signal")]
    before = continued(playbook, world.journal.progress(1))
    again = World()
    again.play(playbook, 2, before=before)
    assert [(node, name) for _, node, name in again.calls] == [("n1", "b"), ("n2", "a"), ("n2", "b")]


def test_a_step_that_may_have_run_is_not_repeated_unless_it_is_idempotent() -> None:
    world = World(script=lambda node, step, call: (10.0, OK), interrupt_at=15.0)
    playbook = book(ran("a"), ran("b"))
    with pytest.raises(Interrupted):
        world.play(playbook, 1)
    before = continued(playbook, world.journal.progress(1))
    assert before.uncertain == {"n1": "b: it was begun, and its end is not known"}
    again = World()
    assert states(again.play(playbook, 1, before=before)) == {"n1": N.UNCERTAIN}
    assert not again.calls
    told = continued(playbook, world.journal.progress(1), repeat_uncertain=True)
    assert states(World().play(playbook, 1, before=told)) == {"n1": N.OK}


def test_a_step_that_changes_nothing_is_repeated_if_its_end_is_not_known() -> None:
    world = World(script=lambda node, step, call: (10.0, OK), interrupt_at=15.0)
    playbook = book(ran("a"), replace(ran("b"), runs_in_check=True))
    with pytest.raises(Interrupted):
        world.play(playbook, 1)
    before = continued(playbook, world.journal.progress(1))
    assert not before.uncertain
    assert states(World().play(playbook, 1, before=before)) == {"n1": N.OK}
