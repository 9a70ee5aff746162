"""A placement asks few of many nodes where it remembers enough, and all where those few will not do."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from clbalance.engine.place import sweep_and_place
from clbalance.engine.services import PlacementQuery, Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import StoreError
from clbalance.model import Cause, NodeName, Plan, Request
from clbalance.model.node_history import KeptAnswer, NodeSample
from clbalance.model.request import Constraints
from clbalance.policy.placement.policies import LEAST, Policy, policy_named
from clbalance.policy.placement.quorum import GRACE_OF_FEW_S, GRACE_S
from clbalance.policy.shortlist import DRAWN, SPARE
from clbalance.store.in_memory import InMemoryStore
from tests.scripted import HangUp, ScriptedNode

from .services import Notes, probed, slowly, world_of

FEW = 1 + SPARE + DRAWN
NAMES = [f"n{number:02}" for number in range(20)]
CALM: dict[str, ScriptedNode] = {name: probed(number / 10) for number, name in enumerate(NAMES)}
AGE_S = 120.0


def refuses(_: bytes) -> list[bytes | HangUp]:
    return [HangUp(Cause.REFUSED, "Connection refused")]


def world(nodes: dict[str, ScriptedNode] | None = None, **changes: object) -> Services:
    return world_of(CALM | (nodes or {}), **{"shortlist_age_s": AGE_S, **changes})


def known_world(asked_s_ago: float = 70.0, **changes: object) -> Services:
    """Every node was asked so long ago, by default long enough to look at a few others."""
    services = world(**changes)
    take_snapshot(services, [NodeName(name) for name in NAMES])
    services.clock.pause(asked_s_ago)
    services.transport.opened.clear()  # type: ignore[attr-defined]
    return services


def changed(services: Services, nodes: dict[str, ScriptedNode]) -> None:
    """From now on these nodes answer otherwise."""
    services.transport.nodes.update({NodeName(name): node for name, node in nodes.items()})  # type: ignore[attr-defined]


def placed(services: Services, request: Request | None = None, policy: Policy = LEAST) -> tuple[Plan, set[str]]:
    """The plan, and the nodes that were asked."""
    query = PlacementQuery(
        candidates=tuple(map(NodeName, NAMES)), request=request or Request(), policy=policy, rng=random.Random(0)
    )
    with services.transport.sessions() as sessions:
        plan = sweep_and_place(services, sessions, query)
    opened = services.transport.opened  # type: ignore[attr-defined]
    assert len(opened) == len(set(opened)), "no node is asked twice"
    return plan, set(opened)


def test_who_remembers_all_nodes_asks_few_of_them() -> None:
    plan, asked = placed(known_world())
    assert plan.chosen == ("n00",)
    assert len(asked) == FEW
    assert {"n00", "n01", "n02"} < asked


def test_who_has_asked_a_moment_ago_asks_the_best_and_the_next() -> None:
    assert placed(known_world(10.0))[1] == {"n00", "n01"}


def test_the_node_that_is_probably_chosen_is_asked_first() -> None:
    services = known_world(10.0, nodes={"n19": probed(0.0), "n00": probed(2.0), "n01": probed(0.1)})
    placed(services)
    assert services.transport.opened == ["n19", "n01"]  # type: ignore[attr-defined]


def test_a_node_with_a_connection_is_asked_in_place_of_one_that_is_as_good() -> None:
    calm = dict.fromkeys(NAMES, probed(0.0))
    services = known_world(10.0, nodes=calm)
    services.transport.connected = frozenset({NodeName("n04"), NodeName("n13")})  # type: ignore[attr-defined]
    assert placed(services)[1] == {"n04", "n13"}


def test_a_late_node_is_waited_for_where_it_was_much_better_and_else_not() -> None:
    services = known_world(10.0, nodes={"n19": probed(0.0)} | {name: probed(2.0) for name in NAMES if name != "n19"})
    changed(services, {"n19": slowly(probed(0.0), 0.5)})
    assert placed(services)[0].chosen == ("n19",)
    like = known_world(10.0, nodes=dict.fromkeys(NAMES, probed(0.0)))
    changed(like, {name: slowly(probed(0.0), 0.5) for name in NAMES if name != "n07"})
    like.transport.connected = frozenset({NodeName("n07"), NodeName("n19")})  # type: ignore[attr-defined]
    began_s = like.clock.monotonic()
    assert placed(like)[0].chosen == ("n07",)
    assert like.clock.monotonic() - began_s == pytest.approx(GRACE_OF_FEW_S)


def test_a_much_better_node_that_stays_silent_is_not_waited_for_longer_than_among_all() -> None:
    services = known_world(10.0, nodes={"n19": probed(0.0)} | {name: probed(2.0) for name in NAMES if name != "n19"})
    changed(services, {"n19": lambda _: []})
    began_s = services.clock.monotonic()
    assert placed(services)[0].chosen != ("n19",)
    assert services.clock.monotonic() - began_s == pytest.approx(GRACE_S)


def usually_busy(services: Services, name: str) -> Services:
    """For hours the node has had eight processes for each cpu, and it has none now."""
    for step in range(60, 0, -1):
        past = {NodeName(name): NodeSample(answered=True, values={"r1m_per_cpu": 8.0})}
        services.store.remember(services.clock.now() - timedelta(minutes=5 * step), {}, past=past)
    return services


def test_an_answer_of_a_minute_ago_counts_as_it_would_probably_be_now() -> None:
    for asked_s_ago, is_asked in ((70.0, False), (10.0, True)):
        services = usually_busy(world(), "n00")
        take_snapshot(services, [NodeName(name) for name in NAMES])
        services.clock.pause(asked_s_ago)
        services.transport.opened.clear()  # type: ignore[attr-defined]
        assert ("n00" in placed(services)[1]) is is_asked


def test_foresee_passes_by_a_node_that_is_idle_for_a_moment_whether_few_or_all_are_asked() -> None:
    for nothing_known in (True, False):
        services = usually_busy(world(), "n00")
        if not nothing_known:
            take_snapshot(services, [NodeName(name) for name in NAMES])
            services.transport.opened.clear()  # type: ignore[attr-defined]
        plan, asked = placed(services, policy=policy_named("foresee"))
        assert plan.chosen == ("n01",)
        assert ("n00" in asked) is nothing_known


def test_forecasts_that_cannot_be_read_are_a_warning_and_what_is_measured_counts() -> None:
    class Broken(InMemoryStore):
        def forecasts(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, bytes]:
            raise StoreError("the disk is gone")

    services = world(store=Broken())
    assert placed(services, policy=policy_named("foresee"))[0].chosen == ("n00",)
    assert "the disk is gone" in services.listener.forgotten  # type: ignore[attr-defined]


def test_who_remembers_nothing_asks_all() -> None:
    assert len(placed(world())[1]) == 20


def test_what_is_too_old_is_as_good_as_nothing() -> None:
    services = known_world()
    services.clock.pause(AGE_S)
    assert len(placed(services)[1]) == 20


def test_who_wants_all_asked_gets_it() -> None:
    assert len(placed(known_world(shortlist_age_s=None))[1]) == 20
    assert len(placed(known_world(), Request(constraints=Constraints(ask_all=True)))[1]) == 20


def test_the_nodes_that_were_not_asked_are_named_with_the_reason() -> None:
    services = known_world()
    plan, asked = placed(services)
    unasked = {one.node: one for one in plan.unfit}
    assert set(unasked) == set(NAMES) - asked
    assert {(one.filter, one.reason, one.detail) for one in unasked.values()} == {
        ("not asked", "not asked", "70 s ago others were at least as good")
    }


def test_an_answer_that_is_fresh_decides_and_not_what_is_remembered() -> None:
    services = known_world()
    changed(services, {"n00": probed(3.0)})
    assert placed(services)[0].chosen == ("n01",)


def test_where_none_of_the_few_fits_any_more_all_are_asked() -> None:
    services = known_world()
    changed(services, {name: probed(9.0) for name in NAMES if name != "n19"})
    plan, asked = placed(services)
    assert plan.chosen == ("n19",)
    assert len(asked) == 20


def test_where_the_few_are_gone_another_is_found() -> None:
    services = known_world()
    changed(services, dict.fromkeys(("n00", "n01", "n02"), refuses))
    plan, _ = placed(services)
    assert plan.fits


def test_where_no_node_fits_the_reasons_of_all_are_told() -> None:
    services = known_world()
    changed(services, {name: probed(9.0) for name in NAMES})
    plan, asked = placed(services)
    assert not plan.fits
    assert len(asked) == 20
    assert "not asked" not in {one.reason for one in plan.unfit}


def test_a_node_that_did_not_answer_is_not_asked_while_others_fit() -> None:
    services = known_world(nodes={"n00": refuses})
    plan, asked = placed(services)
    assert plan.chosen == ("n01",)
    assert "n00" not in asked
    (one,) = [one for one in plan.unfit if one.node == "n00"]
    assert one.detail == "70 s ago: connection refused: Connection refused"


def test_a_node_that_was_not_asked_has_neither_failed_nor_answered() -> None:
    services = known_world()
    _, asked = placed(services)
    now = services.clock.now()
    counts = services.store.history([NodeName(name) for name in NAMES], now - timedelta(hours=1), now)
    assert {name for name, points in counts.items() if sum(one.asked for one in points) == 2} == asked


def test_each_call_refreshes_what_is_remembered_of_those_it_asked() -> None:
    services = known_world()
    for _ in range(30):
        services.transport.opened.clear()  # type: ignore[attr-defined]
        services.clock.pause(10.0)
        placed(services)
    since = services.clock.now() - timedelta(seconds=AGE_S)
    young = services.store.last_answers([NodeName(name) for name in NAMES], since)
    assert 2 * len(young) >= 20, "else the next call asks all"


class Forgetful(InMemoryStore):
    """Answers cannot be read."""

    def last_answers(self, nodes: object, since: object) -> dict[NodeName, KeptAnswer]:
        raise StoreError("database is locked")


def test_a_store_that_cannot_be_read_costs_the_shortlist_and_not_the_placement() -> None:
    services = known_world(store=Forgetful())
    assert len(placed(services)[1]) == 20
    assert isinstance(services.listener, Notes)
    assert services.listener.forgotten == ["database is locked"]


def test_answers_that_make_no_sense_are_none() -> None:
    services = known_world()
    now = services.clock.now()
    services.store.remember(now, {}, answers={NodeName(name): b"nonsense" for name in NAMES[:11]})
    assert len(placed(services)[1]) == 20


def test_labels_count_as_they_are_set_now() -> None:
    services = known_world()
    labels = {NodeName(name): {"rack": "r2" if name >= "n10" else "r1"} for name in NAMES}
    request = Request(constraints=Constraints(where="rack = r2"))
    plan, asked = placed(replace(services, labels=labels), request)
    assert plan.chosen == ("n10",)
    assert len(asked) == FEW
