"""Clients who look at the same moment level the load as one dispatcher would, because nodes refuse the late ones."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Request, Snapshot
from clbalance.policy.allocations import allocations_of
from clbalance.policy.placement.charge import allocation_limits, with_allocations
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST, policy_named
from tests.policy.build import NOW, gpu, lease, node, silent, sweep

from .test_place import patient


def limits_of(
    snapshot: Snapshot, *, pick: int | None = 1, cpus: float = 1.0, policy: str = "least"
) -> dict[str, float]:
    request = Request(pick=pick, cpus=cpus)
    plan = place(snapshot, request, policy_named(policy), NOW, Random(1))
    return {
        str(name): limit for name, limit in allocation_limits(plan, snapshot, request, policy_named(policy)).items()
    }


def test_a_node_may_be_promised_away_until_the_runner_up_is_no_worse() -> None:
    assert limits_of(sweep(node("a", r1m=0.0), node("b", r1m=2.0))) == {"a": pytest.approx(2.0)}
    held = node("a", cpus=8, leases=(lease(cpus=1.0, age_s=1e9),))
    assert limits_of(sweep(held, node("b", cpus=4, r1m=1.0))) == {"a": pytest.approx(1.0 + 3.0)}


def test_of_equals_the_first_to_come_wins() -> None:
    limits = limits_of(sweep(node("a"), node("b")))
    assert list(limits.values()) == [0.0]


@pytest.mark.parametrize(
    "limits",
    [
        limits_of(sweep(node("a"))),
        limits_of(sweep(node("a"), silent("b"))),
        limits_of(sweep(node("a"), node("b")), pick=None),
        limits_of(sweep(node("a"), node("b")), cpus=0.0),
        limits_of(sweep(node("a"), node("b")), policy="rr"),
        limits_of(sweep(node("a"), node("b")), policy="pack"),
    ],
    ids=["no other", "no other fits", "all are wanted", "no cpus", "not by score", "not by load"],
)
def test_there_is_no_limit_where_nobody_would_be_better(limits: dict[str, float]) -> None:
    assert limits == {}


def test_gpus_that_make_a_node_better_leave_it_better_under_more_load() -> None:
    busy = gpu(0, used=60, use=90.0, held=True)
    assert limits_of(sweep(node("a", r1m=1.0, gpus=(gpu(0),)), node("b", gpus=(busy,)))) == {}
    assert limits_of(sweep(node("a", r1m=1.0), node("b", gpus=(gpu(0),)))) == {}
    shared = lease(gpus=("GPU-0",), gpu_share=0.2)
    (most,) = limits_of(sweep(node("a", gpus=(gpu(0),)), node("b", gpus=(gpu(0),), leases=(shared,)))).values()
    assert 1.0 < most < 2.0  # 0.0 without the fifth of a device
    (most,) = limits_of(sweep(node("a", gpus=(gpu(0),), leases=(shared,)), node("b", r1m=3.0, gpus=(gpu(0),)))).values()
    assert 0.5 < most < 1.0  # 3.0 without it


def test_what_a_node_says_is_promised_counts_as_if_placed_now() -> None:
    snapshot = sweep(node("a", leases=(lease(cpus=1.0),)), node("b"), silent("s"), node("u", cpus=None))
    grown = with_allocations(snapshot, {answer.node: 3.0 for answer in snapshot.answers if answer.node in {"a", "u"}})
    parsed = {answer.node: answer for answer in grown.answers}
    assert allocations_of(parsed["a"]).cpus == 3.0  # type: ignore[index,arg-type]
    assert [answer.node for answer in grown.answers] == ["a", "b", "s", "u"]
    assert parsed["b"] == snapshot.answers[1]  # type: ignore[index]


@settings(patient, max_examples=30)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=5), st.integers(2, 6), st.integers(1, 3), st.integers(0, 9))
def test_any_number_of_clients_level_the_load_to_within_one_job(
    halves: list[int], clients: int, jobs: int, seed: int
) -> None:
    """All look at the same moment; then each asks in turn, in any order, and looks at what it was told."""
    rng, request = Random(seed), Request()
    measured = sweep(*(node(f"n{number}", cpus=64, r1m=half / 2) for number, half in enumerate(halves)))
    truth: Counter[str] = Counter()
    for _ in range(jobs):
        current = with_allocations(measured, {answer.node: float(truth[answer.node]) for answer in measured.answers})
        views = [current] * clients
        waiting = list(range(clients))
        while waiting:
            client = rng.choice(waiting)
            plan = place(views[client], request, LEAST, NOW, rng)
            (chosen,) = plan.chosen
            most = allocation_limits(plan, views[client], request, LEAST).get(chosen)
            if most is not None and truth[chosen] > most:
                views[client] = with_allocations(views[client], {chosen: float(truth[chosen])})
                continue
            truth[chosen] += 1
            waiting.remove(client)
    levels = [halves[int(name[1:])] / 2 + count for name, count in truth.items()]
    assert max(levels) - min(levels) <= 1.0 + 1e-6
