"""GPUs in the rank of a node: of any job where nodes have some, and of shares of a device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Gpu, Lease, Plan, Request, Snapshot
from clbalance.policy.placement.gpu_rank import any_has_gpus, unreserved_gpus
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import KINDS, LEAST, policy_named
from clbalance.policy.placement.score import score, scorers_of
from clbalance.policy.placement.score_all import score_all
from clbalance.policy.queue.cluster_state import ClusterState
from tests.policy.build import NOW, gpu, lease, node, placed, sweep

from .test_place import patient

BOTH_FREE = (gpu(0), gpu(1))
BOTH_LEASED = (lease(gpus=("GPU-0", "GPU-1"), age_s=600.0),)
HALF = (lease(gpus=("GPU-0",), gpu_share=0.5),)


def term(plan: Plan, name: str, term_name: str = "gpu") -> tuple[float, str]:
    """Points and words of a node's term."""
    (score,) = [score for score in plan.ranked if score.node == name]
    (found,) = [one for one in score.terms if one.name == term_name]
    return found.points, found.source


TAKEN: list[tuple[str, tuple[Gpu, ...], tuple[Lease, ...]]] = [
    ("strangers compute on them", (gpu(0, used=60, use=95.0, held=True), gpu(1, used=60, use=95.0, held=True)), ()),
    ("a stranger computes on one", (gpu(0, used=60, use=95.0, held=True), gpu(1)), ()),
    ("strangers hold their memory", (gpu(0, used=60, held=True), gpu(1, used=60, held=True)), ()),
    ("strangers do nothing on them", (gpu(0, held=True), gpu(1, held=True)), ()),
    ("they are leased", BOTH_FREE, BOTH_LEASED),
    ("they are faulty", (gpu(0, fault="Xid 79"), gpu(1, fault="Xid 79")), ()),
    ("their use is unknown", (gpu(0, use=None), gpu(1, use=None)), ()),
]


@pytest.mark.parametrize(("gpus", "leases"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_a_job_without_gpus_is_kept_off_a_node_if(gpus: tuple[Gpu, ...], leases: tuple[Lease, ...]) -> None:
    taken, free = node("a", gpus=gpus, leases=leases), node("b", r1m=0.5, ut=20.0, gpus=BOTH_FREE)
    for seed in range(5):
        assert placed(sweep(taken, free), seed=seed).chosen == ("b",)


def test_unknown_gpus_are_not_free() -> None:
    plan = placed(sweep(node("a", gpus=None), node("b", gpus=BOTH_FREE)))
    assert plan.chosen == ("b",)
    assert term(plan, "a") == (0.0, "GPUs unknown: not told")


def test_the_state_of_gpus_is_a_term_with_its_own_weight_and_words() -> None:
    busy = node("a", gpus=(gpu(0, used=60, use=90.0, held=True), gpu(1), gpu(2)), leases=HALF)
    plan = placed(sweep(busy, node("b", gpus=BOTH_FREE), node("c")))
    assert term(plan, "a")[1] == "2 of 3 GPUs free (1 busy), counted half for a job without --gpus"
    assert term(plan, "b") == (50.0, "2 of 2 GPUs free, counted half for a job without --gpus")
    assert term(plan, "c") == (100.0, "no GPUs")
    assert {one.weight for score in plan.ranked for one in score.terms if one.name == "gpu"} == {8.0}
    off = placed(sweep(busy, node("c")), policy=policy_named("least", weights={"gpu": 0.0}))
    assert all(one.name != "gpu" for score in off.ranked for one in score.terms)


def test_of_a_mixed_set_a_job_without_gpus_takes_a_node_without_them_until_that_is_busy() -> None:
    with_gpus = node("a", gpus=BOTH_FREE)
    assert placed(sweep(with_gpus, node("b", r1m=2.0, ut=50.0))).chosen == ("b",)
    assert placed(sweep(with_gpus, node("b", r1m=4.0, ut=100.0, mem=20.0, psi=(40.0, 0.0, 0.0)))).chosen == ("a",)
    assert placed(sweep(with_gpus)).chosen == ("a",)


def test_where_no_node_has_gpus_they_are_not_spoken_of() -> None:
    (score,) = placed(sweep(node("a"))).ranked
    assert [one.name for one in score.terms] == ["run queue", "cpu use", "memory", "pressure"]


GPUS = st.lists(
    st.builds(gpu, st.integers(0, 3), used=st.integers(0, 80), use=st.floats(0, 100), held=st.booleans()),
    max_size=3,
    unique_by=lambda one: one.uuid,
).map(tuple)
NODES: st.SearchStrategy[list[dict[str, object]]] = st.lists(
    st.builds(dict, gpus=GPUS, r1m=st.floats(0, 4)), min_size=1, max_size=6
)


@patient
@given(NODES, st.sampled_from([Request(), Request(gpus=1), Request(gpus=1, gpu_share=0.5)]), st.sampled_from([*KINDS]))
def test_pick_and_replay_choose_alike(drawn: list[dict[str, object]], request: Request, name: str) -> None:
    nodes = [node(f"n{at}", **one, leases=HALF if at % 2 else ()) for at, one in enumerate(drawn)]  # type: ignore[arg-type]
    snapshot, policy = sweep(*nodes), policy_named(name)
    held = ClusterState(snapshot, policy, NOW).place(request, _FIXED)
    plan = placed(snapshot, gpus=request.gpus, gpu_share=request.gpu_share, policy=policy)
    assert (held is not None) == plan.fits
    if held is not None and name in {"least", "pack", "spread", "risk", "fgd"}:
        best = dict(zip([one.node for one in nodes], score_all(nodes, request, policy), strict=True))
        assert best[held.nodes[0]] == pytest.approx(best[plan.chosen[0]], abs=1e-6)


class _Fixed:
    def random(self) -> float:
        return 0.5


_FIXED = _Fixed()


def test_an_unknown_use_of_the_cpus_is_not_taken_from_the_gpus() -> None:
    plan = placed(sweep(node("a", ut=None, gpus=(gpu(0, held=True),))))
    assert term(plan, "a", "cpu use")[0] == term(plan, "a", "run queue")[0] > term(plan, "a")[0]


@patient
@given(NODES, st.sampled_from([0.0, 8.0]))
def test_the_quick_way_to_a_score_counts_gpus_alike(drawn: list[dict[str, object]], weight: float) -> None:
    nodes = [node(f"n{at}", **one) for at, one in enumerate(drawn)]  # type: ignore[arg-type]
    policy = policy_named("least", weights={"gpu": weight})
    weighed = scorers_of(policy, Request(), among_gpus=any_has_gpus(nodes))
    for answer, quick in zip(nodes, score_all(nodes, Request(), policy), strict=True):
        load = effective_load(answer)
        assert isinstance(load, NodeLoad)
        assert quick == pytest.approx(score(load, Request(), weighed).total, abs=1e-9)


# -- shares


def shared_and_whole(**shared: float) -> Snapshot:
    return sweep(node("a", gpus=BOTH_FREE, leases=HALF, **shared), node("b", gpus=BOTH_FREE))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "spread"])
def test_a_share_fills_a_shared_device_of_any_node_before_a_whole_one_is_cut(name: str) -> None:
    busy = shared_and_whole(r1m=3.0, ut=90.0)
    for seed in range(5):
        assert placed(busy, gpus=1, gpu_share=0.5, policy=policy_named(name), seed=seed).chosen == ("a",)
        assert placed(busy, gpus=1, gpu_share=0.6, policy=LEAST, seed=seed).chosen == ("b",)


def test_spread_cuts_a_whole_device_if_its_node_is_emptier() -> None:
    assert placed(shared_and_whole(), gpus=1, gpu_share=0.5, policy=policy_named("spread")).chosen == ("b",)


def test_a_node_past_a_threshold_is_not_filled() -> None:
    assert placed(shared_and_whole(r1m=9.0), gpus=1, gpu_share=0.5).chosen == ("b",)


def test_a_shared_device_that_a_stranger_uses_is_not_filled() -> None:
    used = node("a", gpus=(gpu(0, used=70, held=True), gpu(1)), leases=HALF)
    assert placed(sweep(used, node("b", gpus=BOTH_FREE)), gpus=1, gpu_share=0.25).ranked[0].terms[0].points == 0.0


def test_shares_that_go_first_are_explained() -> None:
    plan = placed(shared_and_whole(r1m=1.0), gpus=1, gpu_share=0.5)
    assert term(plan, "a", "gpu share") == (100.0, "fills a shared GPU: ranked first")
    assert term(plan, "b", "gpu share") == (0.0, "would split a whole GPU: ranked last")
    assert all(score.total <= 100.0 for score in plan.ranked)


def test_several_copies_take_the_shared_devices_first() -> None:
    three = (*shared_and_whole(r1m=3.0).answers, node("c", gpus=BOTH_FREE, r1m=0.5))
    plan = placed(sweep(*three), gpus=1, gpu_share=0.5, pick=2, policy=policy_named("p2c"))
    assert plan.chosen[0] == "a"


# -- what is told with a placement


def test_free_gpus_beside_a_job_that_reserves_none_are_counted() -> None:
    answer = node("a", gpus=(gpu(0), gpu(1), gpu(2, held=True)), leases=(lease(gpus=("GPU-0",)),))
    assert unreserved_gpus(placed(sweep(answer))) == 1
    assert unreserved_gpus(placed(sweep(answer), gpus=1)) == 0
    assert unreserved_gpus(placed(sweep(node("a", gpus=BOTH_FREE)), exclusive=True)) == 0
    assert unreserved_gpus(placed(sweep(node("a"), node("b", gpus=None)), pick=2)) == 0


def test_free_gpus_are_told_only_if_each_copy_could_have_one() -> None:
    free, full = node("a", gpus=BOTH_FREE), node("b", gpus=(gpu(0, held=True),))
    assert unreserved_gpus(placed(sweep(free, full), pick=2)) == 0
    assert unreserved_gpus(placed(sweep(free, node("b", gpus=(gpu(0),))), pick=2)) == 3
