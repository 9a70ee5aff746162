"""On which nodes slots are opened, and which nodes are asked for further ones."""

import random
from dataclasses import replace

import pytest

from clbalance.engine.services import PlacementQuery
from clbalance.engine.tasks.slots import SlotPlan, may_take_more, plan_slots
from clbalance.model import Measured, NodeName, Request
from clbalance.model.request import Constraints
from clbalance.policy.placement.policies import policy_named
from tests.engine.services import world_of
from tests.policy.build import gpu, lease, node, placed, sweep

GPUS = (gpu(0), gpu(1))
QUARTER = (lease(gpus=("GPU-0",), gpu_share=0.25),)


@pytest.mark.parametrize(
    ("policy", "slots", "on_shared", "on_others"),
    [
        ("least", 3, 3, [0, 0]),
        ("least", 5, 3, [0, 2]),
        ("p2c", 3, 3, [0, 0]),
        ("fgd", 5, 5, [0, 0]),
        ("spread", 4, 1, [1, 2]),
    ],
)
def test_slots_with_shares_fill_shared_devices_before_they_cut_whole_ones(
    policy: str, slots: int, on_shared: int, on_others: list[int]
) -> None:
    services = world_of({})
    nodes = sweep(node("a", gpus=GPUS, leases=QUARTER), node("b", gpus=GPUS), node("c", gpus=GPUS))
    snapshot = replace(nodes, taken_at=services.clock.now())
    query = PlacementQuery(
        candidates=tuple(answer.node for answer in snapshot.answers),
        request=Request(cpus=0.1, gpus=1, gpu_share=0.25),
        policy=policy_named(policy),
        rng=random.Random(1),
    )
    planned = plan_slots(services, snapshot, query, slots).nodes
    assert planned.count(NodeName("a")) == on_shared
    assert sorted(planned.count(NodeName(name)) for name in ("b", "c")) == on_others


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (Request(name="one"), {"a", "b"}),
        (Request(name="one", constraints=Constraints(apart=("one",))), {"b"}),
        (Request(name="one", constraints=Constraints(apart=("other",))), {"a", "b"}),
        (Request(constraints=Constraints(apart=("other",))), {"a", "b"}),
    ],
)
def test_a_job_apart_from_itself_is_not_offered_a_node_twice(request_: Request, wanted: set[str]) -> None:
    snapshot = sweep(node("a"), node("b"))
    answers = {one.node: one for one in snapshot.answers if isinstance(one, Measured)}
    plan = SlotPlan(plan=placed(snapshot, pick=None), nodes=(), answers=answers)
    asked = replace(request_, cpus=1.0)
    assert may_take_more(plan, asked, {NodeName("a"): 1}, most_nodes=10) == wanted
