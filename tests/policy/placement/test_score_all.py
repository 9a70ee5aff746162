"""The quick way to a score and the one that explains itself come to the same number."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Measured, Request, Silent, Snapshot
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import LEAST, Policy, Weights, policy_named
from clbalance.policy.placement.score_all import NONE, score_all
from tests.policy.build import lease, node, scored, silent, sweep

from .test_place import patient, snapshots

WEIGHTS = st.builds(
    Weights,
    run_queue=st.floats(0.1, 10.0),
    cpu_use=st.sampled_from([0.0, 2.0]),
    memory=st.sampled_from([0.0, 1.0]),
    pressure=st.sampled_from([0.0, 1.0]),
    packing=st.sampled_from([0.0, 0.0, 1.0]),
)


@patient
@given(snapshots(), WEIGHTS, st.floats(0.0, 8.0))
def test_the_number_is_that_of_the_explained_score(snapshot: Snapshot, weights: Weights, cpus: float) -> None:
    policy, request = Policy(weights=weights), Request(cpus=cpus)
    for answer, quick in zip(snapshot.answers, score_all(snapshot.answers, request, policy), strict=True):
        load = effective_load(answer) if isinstance(answer, Measured) else None
        if isinstance(load, NodeLoad):
            assert quick == pytest.approx(scored(load, request, policy).total, abs=1e-9)
        else:
            assert quick == NONE


def test_a_node_without_a_load_has_no_number() -> None:
    answers = (silent("a"), node("b", cpus=None), node("c", r1m=-1.0), node("d"))
    assert [number == NONE for number in score_all(answers, Request(), LEAST)] == [True, True, True, False]
    assert [number == NONE for number in score_all(answers, Request(), policy_named("pack"))] == [
        True,
        True,
        True,
        False,
    ]


def test_what_is_promised_on_a_node_counts_in_the_quick_way_too() -> None:
    free, held = score_all((node("a"), node("b", leases=(lease(cpus=3.0),))), Request(), LEAST)
    assert held < free


def test_a_silent_node_never_has_more_than_one_that_answered() -> None:
    worst = node("a", r1m=1e6, ut=100.0, mem=0.0, psi=(100.0, 100.0, 100.0))
    (silent_one, answered) = score_all((silent("s"), worst), Request(), LEAST)
    assert silent_one < answered
    assert isinstance(sweep(silent("s")).answers[0], Silent)
    assert replace(worst) == worst
