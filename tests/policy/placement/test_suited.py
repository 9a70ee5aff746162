"""A node that is not what was asked for is never used, and says why not."""

from dataclasses import replace

import pytest

from clbalance.model import Allocation, Answer, Measured, NodeName, Unknown
from clbalance.policy.placement.charge import assume
from clbalance.policy.placement.explain import NodeState, node_state, unfit_summary
from clbalance.policy.placement.fragmentation import Workload, fragmentation_of
from clbalance.policy.placement.gpu_choice import devices_for, growth
from clbalance.policy.placement.gpus import gpu_candidates, matching_devices
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import LEAST, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import NOW, node, sweep, unreadable
from tests.policy.requests import (
    Constraints,
    Request,
    card,
    labelled,
    mixed,
    why,
    wished,
    with_cards,
    with_jobs,
    without_gpus_known,
)


@pytest.mark.parametrize(
    ("answer", "tolerated", "reason"),
    [
        (labelled("n", "maintenance"), (), "tainted maintenance"),
        (labelled("n", "b", "a"), (), "tainted a, b"),
        (labelled("n", "b", "a"), ("a",), "tainted b"),
        (labelled("n", "b", "a"), ("a", "b", "c"), None),
        (labelled("n"), ("a",), None),
    ],
)
def test_a_taint_keeps_off_who_does_not_tolerate_it(
    answer: Answer, tolerated: tuple[str, ...], reason: str | None
) -> None:
    plan = wished(sweep(answer), tolerated=frozenset(tolerated))
    assert why(plan) == ({} if reason is None else {"n": reason})
    assert plan.fits is (reason is None)


def test_a_taint_says_what_to_type() -> None:
    (unfit,) = wished(sweep(labelled("n", "b", "a"))).unfit
    assert unfit.detail == "`--tolerate a` allows it"


def test_a_tainted_node_is_up_and_shows_its_taints() -> None:
    condition = node_state(labelled("n", "b", "a"), Thresholds(), NOW)
    assert (condition.state, condition.reason) == (NodeState.UP, "tainted a, b")
    assert node_state(labelled("n"), Thresholds(), NOW).reason is None


def test_why_nothing_fits_counts_what_was_wished_for() -> None:
    answers = [mixed(f"n{number}", "V100") for number in range(12)]
    plan = wished(sweep(*answers, node("vague", gpus=None)), where='gpu_model ~ "A100|H100"')
    assert (
        unfit_summary(plan, 13) == '0/13 nodes fit: 12 not meeting --where gpu_model ~ "A100|H100", 1 gpu_model unknown'
    )


def test_what_was_wished_for_is_told_before_what_is_free() -> None:
    plan = wished(sweep(labelled("n", r1m=99.0, rack="r1")), where="rack = r2")
    assert why(plan) == {"n": "not meeting --where rack = r2"}


# -- devices --------------------------------------------------------------------------------------

A100 = 'gpu_model ~ "A100"'


@pytest.mark.parametrize(("gpus", "fits"), [(0, True), (1, True), (2, True), (3, False)])
def test_of_a_mixed_node_only_the_devices_that_count_are_counted(gpus: int, fits: bool) -> None:
    plan = wished(sweep(mixed("n", "T4", "A100", "T4", "A100")), gpus=gpus, where=A100)
    assert plan.fits is fits
    assert why(plan) == ({} if fits else {"n": "too few GPUs free"})


def test_only_the_devices_that_count_are_charged() -> None:
    plan = wished(sweep(mixed("n", "T4", "A100", "T4", "A100")), gpus=2, where=A100)
    (charged,) = plan.charged.answers
    assert isinstance(charged, Measured)
    assert [allocation.gpus for allocation in charged.placed] == [("GPU-1", "GPU-3")]


def test_a_device_that_counts_and_is_taken_is_not_had() -> None:
    taken = with_cards("n", card(0, "A100", used=30), card(1, "T4"))
    assert not wished(sweep(replace(taken)), gpus=2, where=A100).fits
    assert wished(sweep(taken), gpus=1, where="gpu_model = T4").fits


def test_conditions_of_devices_hold_of_one_and_the_same() -> None:
    plan = wished(
        sweep(with_cards("n", card(0, "A100", cuda="11.8"), card(1, "T4"))), gpus=1, where=f"{A100} and cuda >= 12"
    )
    assert why(plan) == {"n": f"not meeting --where {A100} and cuda >= 12"}


def test_gpus_that_are_not_known_fit_no_wish() -> None:
    assert why(wished(sweep(without_gpus_known("n")), where="cuda >= 12.2")) == {"n": "cuda unknown"}
    assert why(wished(sweep(without_gpus_known("n")), where="not cuda >= 12.2")) == {"n": "cuda unknown"}


def test_a_wish_that_is_not_about_devices_leaves_them_alone() -> None:
    answer = mixed("n", "A100", "T4")
    assert matching_devices(answer, Request(constraints=Constraints(where="cpus > 1"))) is answer
    assert matching_devices(answer, Request(constraints=Constraints(where="gut < 50"))) is answer
    assert matching_devices(answer, Request()) is answer
    assert gpu_candidates(matching_devices(answer, Request(constraints=Constraints(where=A100)))) == ("GPU-0",)
    vague = without_gpus_known("n")
    assert matching_devices(vague, Request(constraints=Constraints(where=A100))) is vague


def test_fragmentation_takes_only_devices_that_count() -> None:
    policy = policy_named("fgd", workload=Workload.of([Request(gpus=2)]))
    load = effective_load(mixed("n", "T4", "A100"))
    assert isinstance(load, NodeLoad)
    measure = fragmentation_of(policy.workload)
    one_a100 = Request(gpus=1, constraints=Constraints(where=A100))
    assert devices_for(load, one_a100, policy) == ("GPU-1",)
    assert growth(measure, load, one_a100) == growth(measure, load, Request(gpus=1)) != 0.0
    assert growth(measure, load, Request(gpus=1, constraints=Constraints(where="gpu_model = x"))) == 0.0


def test_the_gpu_term_is_of_the_devices_that_count() -> None:
    half = with_cards("n", card(0, "T4", used=0), card(1, "A100", used=2**30, mem=40 * 2**30))
    (message,) = [term.source for term in wished(sweep(half), gpus=1, where=A100).ranked[0].terms if term.name == "gpu"]
    assert message == "1 of 1 GPUs free"


# -- jobs -----------------------------------------------------------------------------------------


def test_near_is_where_each_of_the_jobs_is() -> None:
    cluster = sweep(with_jobs(node("a"), "db", "web"), with_jobs(node("b"), "db"), node("c"))
    assert wished(cluster, near=("db", "web")).chosen == ("a",)
    assert why(wished(cluster, near=("db", "web"))) == {"b": "without job web", "c": "without job db"}


def test_apart_is_where_none_of_them_is() -> None:
    cluster = sweep(with_jobs(node("a"), "db"), with_jobs(node("b"), "web"), node("c"))
    plan = wished(cluster, apart=("db", "web"))
    assert plan.chosen == ("c",)
    assert why(plan) == {"a": "running job db", "b": "running job web"}
    assert [unfit.detail for unfit in plan.unfit] == ["of uid 1001", "of uid 1001"]


def test_who_is_there_is_not_known_where_leases_are_not() -> None:
    vague, unread = node("a", leases=None), node("b", leases=(unreadable(),))
    for wish in ("near", "apart"):
        assert why(wished(sweep(vague), cpus=0.0, **{wish: ("db",)})) == {"a": "job db unknown"}
    assert why(wished(sweep(unread), cpus=0.0, apart=("db",))) == {"b": "job db unknown"}
    assert why(wished(sweep(unread), cpus=0.0, near=("db",))) == {"b": "without job db"}


def test_what_was_placed_a_moment_ago_is_there_too() -> None:
    cluster = sweep(node("a"), node("b"))
    first = wished(cluster, name="db", apart=("db",))
    second = wished(first.charged, name="db", apart=("db",))
    assert {*first.chosen, *second.chosen} == {"a", "b"}
    assert set(why(wished(second.charged, apart=("db",))).values()) == {"running job db"}
    assert wished(first.charged, near=("db",)).chosen == first.chosen
    third = wished(second.charged, apart=("db",)).unfit
    assert [unfit.detail for unfit in third] == ["placed a moment ago"] * 2


def test_a_charge_has_the_name_of_its_job() -> None:
    charged = assume(sweep(node("a")), [NodeName("a")], Request(name="train", cpus=0.0), LEAST)
    (answer,) = charged.answers
    assert isinstance(answer, Measured)
    assert answer.placed == (Allocation(name="train", slots=1, uptime_s=1000.0),)


def test_a_reading_without_leases_has_no_jobs_of_ours_either() -> None:
    answer = replace(node("a", leases=None), placed=(Allocation(name="db"),))
    assert isinstance(answer.reading.leases, Unknown)
    assert why(wished(sweep(answer), cpus=0.0, apart=("db",))) == {"a": "job db unknown"}
