"""Jobs leave nodes that are drained only if their owner has marked them, and only for where there is room."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName, Request, Snapshot
from clbalance.model.job import Checkpoint, Command, JobSpec, RestartPolicy, Submitted
from clbalance.policy.drain_progress import Eviction, EvictionCandidate, evictions
from clbalance.policy.placement.policies import LEAST, policy_named

from .build import NOW, drain, node, sweep

MARKED = RestartPolicy(requeue=True)


def stay(
    job: int = 1, on: str = "old", *, cpus: float = 2.0, to: str = "old a b", restart_policy: RestartPolicy = MARKED
) -> EvictionCandidate:
    spec = JobSpec(
        id=job, key=f"{job:032x}", name="j", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0
    )
    candidates = tuple(NodeName(name) for name in to.split())
    submitted = Submitted(job=spec, request=Request(cpus=cpus), candidates=candidates, restart_policy=restart_policy)
    return EvictionCandidate(job=job, node=NodeName(on), submitted=submitted)


def cluster(*free: str) -> Snapshot:
    """Four cpus each; `old` is drained."""
    return sweep(node("old", drains=(drain(),)), *(node(name) for name in free))


def where(snapshot: Snapshot, *stays: EvictionCandidate) -> dict[int, str]:
    return {one.job: one.dst for one in evictions(snapshot, stays, lambda _: LEAST, NOW, Random(1))}


def test_a_marked_job_goes_to_a_node_that_is_not_drained() -> None:
    found = evictions(cluster("a"), [stay()], lambda _: LEAST, NOW, Random(1))
    assert found == (Eviction(job=1, src=NodeName("old"), dst=NodeName("a")),)


def changed(**changes: object) -> EvictionCandidate:
    one = stay()
    return replace(one, submitted=replace(one.submitted, job=replace(one.submitted.job, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(stay(restart_policy=RestartPolicy()), id="that nobody has marked"),
        pytest.param(changed(pty=(24, 80)), id="on a terminal"),
        pytest.param(changed(slots=True), id="of slots"),
        pytest.param(
            replace(stay(), submitted=replace(stay().submitted, request=Request(pick=2))), id="of several copies"
        ),
        pytest.param(stay(to="old b"), id="that was not submitted for where there is room"),
        pytest.param(stay(cpus=5.0), id="for which there is no room"),
    ],
)
def test_a_job_stays(one: EvictionCandidate) -> None:
    assert where(cluster("a"), one) == {}


def test_one_that_can_checkpoint_may_leave_too() -> None:
    assert where(cluster("a"), stay(restart_policy=RestartPolicy(checkpoint=Checkpoint(signal=10)))) == {1: "a"}


def test_each_is_placed_by_its_own_policy() -> None:
    policies = {None: LEAST, "tight": policy_named("pack")}
    one, other = stay(1, cpus=1.0), stay(2, cpus=1.0)
    other = replace(other, submitted=replace(other.submitted, policy="tight"))
    found = evictions(cluster("a", "b"), [one, other], lambda job: policies[job.policy], NOW, Random(1))
    assert found[0].dst == found[1].dst
    assert len({move.dst for move in evictions(cluster("a", "b"), [one, other], lambda _: LEAST, NOW, Random(1))}) == 2


def test_no_job_goes_back_to_where_it_is_though_the_mark_is_not_seen_there() -> None:
    assert where(sweep(node("old")), stay()) == {}


@given(st.lists(st.sampled_from([1.0, 1.5, 2.0, 4.0]), max_size=8), st.integers(0, 3))
def test_no_node_is_sent_more_than_it_holds(cpus: list[float], nodes: int) -> None:
    names = [f"n{at}" for at in range(nodes)]
    stays = [stay(at, cpus=one, to=" ".join(["old", *names])) for at, one in enumerate(cpus)]
    found = where(cluster(*names), *stays)
    assert set(found.values()) <= set(names)
    assert all(sum(cpus[job] for job, dst in found.items() if dst == name) <= 4.0 for name in names)
    assert len(found) >= min(nodes, len(cpus))
