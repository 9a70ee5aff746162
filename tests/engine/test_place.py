"""A placement goes on once enough nodes have answered; a node that is late is no failed one."""

import random
from datetime import timedelta

import pytest

from clbalance.engine.place import sweep_and_place
from clbalance.engine.services import PlacementQuery, Services
from clbalance.engine.sweep import take_snapshot
from clbalance.model import NodeName, Plan, Request, Silent, Snapshot
from clbalance.model.node_history import FailureStreak
from clbalance.model.request import Constraints
from clbalance.policy.placement.policies import LEAST
from tests.scripted import ScriptedNode

from .services import Notes, probed, slowly, world_of

FIVE = {name: slowly(probed(0.5), 0.3) for name in "abcde"}


def hangs(_: bytes) -> list[bytes]:
    return []


def placed(services: Services, request: Request) -> tuple[Plan, float]:
    """The plan, and the seconds that it took."""
    names = tuple(services.transport.nodes)  # type: ignore[attr-defined]
    query = PlacementQuery(candidates=names, request=request, policy=LEAST, rng=random.Random(0))
    with services.transport.sessions() as sessions:
        began = services.clock.monotonic()
        plan = sweep_and_place(services, sessions, query)
        return plan, services.clock.monotonic() - began


def asked(services: Services, name: str) -> int:
    """How many times the node was asked, by what is remembered."""
    now, node = services.clock.now(), NodeName(name)
    return sum(point.asked for point in services.store.history([node], now - timedelta(days=1), now).get(node, ()))


def unfit(plan: Plan) -> dict[str, str]:
    return {one.node: one.reason for one in plan.unfit}


@pytest.mark.parametrize(
    ("slow", "request_", "late", "took_s"),
    [
        pytest.param({"f": hangs}, Request(), {"f": "not awaited"}, 1.3, id="one hangs of six"),
        pytest.param({"f": hangs}, Request(pick=5), {"f": "not awaited"}, 1.3, id="five are wanted"),
        pytest.param({"f": hangs}, Request(pick=6), {"f": "timed out"}, 15.0, id="all six are wanted"),
        pytest.param({"f": hangs}, Request(pick=None), {"f": "timed out"}, 15.0, id="all that fit are wanted"),
        pytest.param(dict.fromkeys("vwxyz", hangs), Request(), dict.fromkeys("vwxyz", "not awaited"), 1.3, id="half"),
        pytest.param(dict.fromkeys("uvwxyz", hangs), Request(), dict.fromkeys("uvwxyz", "timed out"), 15.0, id="more"),
        pytest.param({"f": slowly(probed(0.1), 1.2)}, Request(), {}, 1.2, id="one is slow, but in time"),
        pytest.param({"f": slowly(probed(0.1), 1.4)}, Request(), {"f": "not awaited"}, 1.3, id="one is too slow"),
    ],
)
def test_a_placement_waits_no_longer_than_it_needs(
    slow: dict[str, ScriptedNode], request_: Request, late: dict[str, str], took_s: float
) -> None:
    plan, seconds = placed(world_of({**slow, **FIVE}), request_)
    assert (unfit(plan), seconds) == (late, pytest.approx(took_s, abs=0.01))


def test_a_node_that_hangs_has_its_full_time_where_no_other_fits() -> None:
    busy = {name: slowly(probed(9.0), 0.3) for name in "abcde"}
    plan, seconds = placed(world_of({**busy, "f": slowly(probed(0.1), 5.0)}), Request())
    assert (plan.chosen, seconds) == (("f",), pytest.approx(5.0))
    plan, seconds = placed(world_of({"f": hangs}), Request())
    assert (unfit(plan), seconds) == ({"f": "timed out"}, pytest.approx(15.0, abs=1.0))


def test_nodes_of_two_racks_are_not_enough_for_one_rack() -> None:
    labels = {NodeName(name): {"rack": name} for name in "abcde"} | {NodeName("f"): {"rack": "a"}}
    services = world_of({**FIVE, "f": slowly(probed(0.1), 5.0)}, labels=labels)
    plan, seconds = placed(services, Request(pick=2, constraints=Constraints(same="rack")))
    assert (sorted(plan.chosen), seconds) == (["a", "f"], pytest.approx(5.0))


def test_a_node_that_was_not_awaited_has_not_failed() -> None:
    services = world_of({**FIVE, "f": hangs})
    for _ in range(5):
        services.clock.pause(10.0)
        placed(services, Request())
    nodes = [NodeName("e"), NodeName("f")]
    assert services.store.failure_streaks(nodes).get(NodeName("f"), FailureStreak()) == FailureStreak()
    assert asked(services, "f") == 0
    assert isinstance(services.listener, Notes)
    assert services.listener.awaited[-1] == {"f"}


def test_a_draft_has_the_answers_so_far_and_the_snapshot_all_of_them() -> None:
    services = world_of({**FIVE, "f": slowly(probed(0.1), 5.0)})
    drafts: list[Snapshot] = []
    whole = take_snapshot(services, [NodeName(name) for name in "abcdef"], draft=drafts.append)
    assert [[one.node for one in drafted.answers if isinstance(one, Silent)] for drafted in drafts] == [["f"]]
    assert not any(isinstance(one, Silent) for one in whole.answers)
    assert asked(services, "f") == 1


def test_where_all_nodes_answer_at_once_there_is_no_draft() -> None:
    drafts: list[Snapshot] = []
    take_snapshot(world_of(FIVE), [NodeName(name) for name in "abcde"], draft=drafts.append)
    take_snapshot(world_of({"f": hangs}), [NodeName("f")], draft=drafts.append)
    assert drafts == []
