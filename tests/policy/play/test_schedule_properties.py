"""Whatever nodes do, a run keeps its rules: trials with random playbooks, durations and failures."""

from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.play_run import NodeState, RunState, StepEnded, StepRecord, StepState
from clbalance.model.playbook import Canary, Share
from clbalance.policy.play.schedule import batches
from tests.engine.play.scripted import OK, World, book, failed, nodes_of, ran, rolled_back, states, unknown

_ENDS = st.sampled_from([OK, OK, OK, failed(), unknown(), StepEnded(state=StepState.LEFT_OUT, reason="jobs")])
_SHARES = st.builds(Share, number=st.integers(1, 5)) | st.builds(
    Share, number=st.integers(1, 100), is_percent=st.just(True)
)
_NODES = 7


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    ends = draw(st.dictionaries(st.tuples(st.sampled_from(nodes_of(_NODES)), st.sampled_from("ab")), _ENDS))
    seconds = draw(st.dictionaries(st.sampled_from(nodes_of(_NODES)), st.integers(1, 50)))
    return World(script=lambda node, step, call: (float(seconds.get(node, 3)), ends.get((node, step), OK)))


@given(_worlds(), st.integers(1, 4), st.sampled_from([0.0, 20.0, 100.0]))
def test_no_more_turns_run_at_once_than_the_window(world: World, window: int, limit: float) -> None:
    world.play(book(window=Share(number=window), max_fail_percentage=limit), _NODES)
    assert world.most_turns <= window


@given(_worlds(), st.sampled_from([0.0, 20.0, 50.0, 100.0]))
def test_no_step_begins_twice_and_each_node_ends_in_one_state(world: World, limit: float) -> None:
    ended = world.play(book(window=Share(number=2), max_fail_percentage=limit), _NODES)
    assert len({(node, step) for _, node, step in world.calls}) == len(world.calls)
    assert len(states(ended)) == _NODES
    assert NodeState.RUNNING not in states(ended).values()
    touched = {node for _, node, _ in world.calls}
    assert touched == {node for node, state in states(ended).items() if state is not NodeState.NOT_STARTED}


@given(_worlds(), st.sampled_from([0.0, 20.0, 50.0]))
def test_no_turn_starts_once_too_many_have_failed(world: World, limit: float) -> None:
    world.play(book(window=Share(number=2), max_fail_percentage=limit), _NODES)
    bad, started = 0, set[str]()
    for event in world.journal.events:
        if not isinstance(event, StepRecord) and event.state in (NodeState.FAILED, NodeState.UNCERTAIN):
            bad += 1
        elif not isinstance(event, StepRecord) and event.state is NodeState.RUNNING and event.node not in started:
            started.add(event.node)
            assert bad * 100 <= limit * _NODES


@given(_worlds(), st.integers(1, 3))
def test_a_canary_that_is_not_healthy_never_widens(world: World, canary: int) -> None:
    playbook = book(ran("a"), canary=Canary(nodes=Share(number=canary)), max_fail_percentage=100.0)
    ended = world.play(playbook, _NODES)
    counted = [node for node, state in states(ended).items() if state is not NodeState.LEFT_OUT][:canary]
    if any(states(ended)[node] in (NodeState.FAILED, NodeState.UNCERTAIN) for node in counted):
        assert ended.state in (RunState.STOPPED, RunState.PAUSED)
        assert len([node for node in world.began() if states(ended)[node] is not NodeState.LEFT_OUT]) <= canary


@given(st.lists(_SHARES, min_size=1, max_size=3))
def test_batches_hold_each_node_once_in_its_order(sizes: list[Share]) -> None:
    found = batches(nodes_of(_NODES), sizes, _NODES)
    assert tuple(node for batch in found for node in batch) == nodes_of(_NODES)


@given(_worlds(), st.integers(1, 3))
def test_batches_never_overlap(world: World, size: int) -> None:
    world.play(book(ran("a"), serial=(Share(number=size),), max_fail_percentage=100.0), _NODES)
    begun = world.began_at()
    names = nodes_of(_NODES)
    for at in range(0, _NODES - size, size):
        first, second = names[at : at + size], names[at + size : at + 2 * size]
        latest = max(begun[node] + world.script(node, "a", 0)[0] for node in first)
        assert min(begun[node] for node in second) >= latest


@given(_worlds())
def test_a_failed_canary_leaves_no_touched_node_without_its_rollback(world: World) -> None:
    playbook = book(ran("a"), ran("b"), rollback=[ran("undo")], canary=Canary(nodes=Share(number=2)))
    ended = world.play(playbook, _NODES)
    if ended.reason.startswith("the canary failed"):
        assert not [node for node, state in states(ended).items() if state is NodeState.OK]
        assert rolled_back(ended) == {node for node, state in states(ended).items() if state is NodeState.FAILED}
