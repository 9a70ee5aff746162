"""Placement foresees the limits that root has set on a node, as far as it can be known from outside."""

from dataclasses import replace
from random import Random

import pytest

from clbalance.model import Answer, Lease, Measured, NodeLimits, Request, Unknown
from clbalance.model.checkup import Severity
from clbalance.policy.job_obstacles import reading_findings
from clbalance.policy.node_limits import use_of_set
from clbalance.policy.placement.explain import NodeState, node_state, unfit_summary
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.cluster_state import ClusterState

from .build import ME, NOW, SHE, lease, node, silent, sweep


def limited(text: str, name: str = "node1", **facts: object) -> Measured:
    limits = NodeLimits(text=text, users=frozenset({"me", str(ME)}), groups=frozenset({"students"}))
    return node(name, limits=limits, **facts)  # type: ignore[arg-type]  # a test's own table


@pytest.mark.parametrize(
    ("text", "request_", "why"),
    [
        ("Default MaxCpus=2\n", Request(cpus=1), "MaxCpus=2 of each user: 1 requested, 2 in use until these jobs end (line 1); leased: you 2 ("),
        ("# ours\nUser=me MaxCpus=0\n", Request(), "MaxCpus=0 of user me: 1 requested, which is more than any job may have (line 2)"),
        ("Group=students MaxJobs=1\n", Request(cpus=0), "MaxJobs=1 of group students: 1 requested, 1 in use until these jobs end (line 1)"),
        ("Default MaxMem=1G\n", Request(), "MaxMem=1G of each user: the job does not say what it needs: give `--mem` (line 1)"),
        ("Default MaxCpus=3\n", Request(exclusive=True), "not empty: 2 leases held"),
        ("Default MaxJ=3\n", Request(), "'MaxJ=3': the limits are MaxJobs, MaxCpus, MaxGpus, MaxMem, MaxWall, each with `=` and a value"),
    ],
)  # fmt: skip
def test_a_node_whose_limit_is_reached_does_not_fit_and_says_which(text: str, request_: Request, why: str) -> None:
    answer = limited(text, leases=(lease(cpus=2, uid=ME, slots=1), lease(cpus=1, uid=SHE, slots=1)))
    (unfit,) = place(sweep(answer), request_, LEAST, NOW, Random(1)).unfit
    assert why in unfit.phrase


def test_what_is_placed_by_us_a_moment_ago_counts_too() -> None:
    answers = sweep(limited("Default MaxJobs=1\n"), node("node2"))
    plan = place(answers, Request(cpus=1), LEAST, NOW, Random(1))
    again = place(plan.charged, Request(cpus=1), LEAST, NOW, Random(1))
    assert {*plan.chosen, *again.chosen} == {"node1", "node2"}


def test_the_queue_sees_the_same_limits() -> None:
    state = ClusterState(sweep(limited("Default MaxJobs=1\n")), LEAST, NOW)
    request = Request(cpus=1)
    held = state.place(request, Random(1))
    assert held is not None
    assert state.place(request, Random(1)) is None
    state.release(held)
    assert state.place(request, Random(1)) is not None


def test_a_time_limit_is_left_to_the_node() -> None:
    assert place(sweep(limited("Default MaxWall=1h\n")), Request(), LEAST, NOW, Random(1)).fits


def test_limits_that_are_not_known_make_a_node_unfit_but_are_no_state_of_it() -> None:
    answer = node("node1", limits=Unknown(reason="timed out"))
    plan = place(sweep(answer), Request(), LEAST, NOW, Random(1))
    assert unfit_summary(plan, 1) == "0/1 nodes fit: 1 limits unknown"
    assert node_state(answer, Thresholds(), NOW).state is NodeState.UP


@pytest.mark.parametrize(
    ("limits", "flaw"),
    [
        (Unknown(reason="timed out"), "timed out"),
        (NodeLimits(text="", users=frozenset(), groups=frozenset()), "it is empty, or its last line does not end"),
        (NodeLimits(text="Default MaxJobs=2\n", users=frozenset(), groups=frozenset()), None),
        (None, None),
    ],
)
def test_limits_that_keep_every_job_out_are_told_to_root(limits: NodeLimits | Unknown | None, flaw: str | None) -> None:
    found = [one for one in reading_findings(node("node1", limits=limits).reading) if one.check == "limits"]
    assert [one.severity for one in found] == ([] if flaw is None else [Severity.WRONG])
    assert all(f"its limits of users keep every job out: {flaw}" in one.what for one in found)


def ours(key: str, *, cpus: float = 1.0, age_s: float = 100.0) -> Lease:
    return replace(lease(cpus=cpus, slots=1, uid=ME, age_s=age_s), key=key)


def test_of_a_node_set_all_our_leases_count_and_nobody_elses() -> None:
    answers = sweep(
        node("n1", leases=(ours("mine"), ours("other", cpus=2))),
        node("n2", leases=(ours("mine"), lease(cpus=9, uid=SHE), ours("new", age_s=1))),
    )
    use = use_of_set(answers, "MaxCpus", "mine", 2)
    assert (use.own, use.others, use.young) == (2.0, 3.0, 1.0)
    assert (use.fits(5), use.fits(4.9)) == (True, False)
    assert (use.may_shrink(4), use.may_shrink(3.9)) == (True, False), "only the new one may be given back"
    assert use.reason == "2 requested, 3 in use on n[1-2] until these jobs end"
    assert use_of_set(answers, "MaxJobs", "mine", 2).fits(4)
    assert use_of_set(answers, "MaxGpus", "mine", 2).fits(0), "it asks for none"


def test_over_a_node_set_an_exclusive_job_has_all_of_its_nodes_whatever_it_asked_for() -> None:
    alone = replace(lease(cpus=1, slots=1, uid=ME, exclusive=True), key="other")
    answers = sweep(node("n1", cpus=16, leases=(alone,)), node("n2", leases=(ours("mine"),)))
    assert use_of_set(answers, "MaxCpus", "mine", 1).others == 16
    assert use_of_set(answers, "MaxMem", "mine", 1).others == 10**6
    assert use_of_set(answers, "MaxJobs", "mine", 1).others == 1
    unseen = sweep(node("n1", cpus=None, leases=(alone,)), node("n2", leases=(ours("mine"),)))
    assert use_of_set(unseen, "MaxCpus", "mine", 1).unknown.startswith("n1: you have all of it")


@pytest.mark.parametrize(
    ("answers", "unknown"),
    [
        ((node("n1", leases=(ours("mine"),)), silent("n2")), "n2: "),
        ((node("n1", leases=(ours("mine"),)), node("n2", leases=None)), "n2: its leases are not known"),
        ((node("n1", leases=(ours("other"),)),), "the leases of this job are not seen"),
        ((node("n1", leases=(replace(ours("mine"), allocation=Unknown(reason="x")),)),), "n1: a lease of yours cannot be read"),
    ],
)  # fmt: skip
def test_what_is_not_known_on_a_node_set_lets_nobody_in(answers: tuple[Answer, ...], unknown: str) -> None:
    use = use_of_set(sweep(*answers), "MaxCpus", "mine", 1)
    assert use.reason.startswith(f"what is in use is not known: {unknown}")
    assert not use.fits(100)
    assert not use.may_shrink(100)
