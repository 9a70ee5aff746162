"""Which nodes are asked for further slots."""

from dataclasses import replace

import pytest

from clbalance.engine.tasks.slots import SlotPlan, may_take_more
from clbalance.model import Measured, NodeName, Request
from clbalance.model.request import Constraints
from tests.policy.build import node, placed, sweep


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
