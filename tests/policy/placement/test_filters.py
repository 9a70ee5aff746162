"""Who is out of the question, and what is said of it."""

from dataclasses import replace

import pytest

from clbalance.model import Answer, Cause, Unfit
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import names, node, placed, silent, sweep, tmp_space

ALL_LIMITS = Policy(
    thresholds=Thresholds(
        r1m_per_cpu=0.8,
        mem_available_pct=10.0,
        ut_pct=90.0,
        tmp_free_pct=5.0,
        psi_cpu_pct=50.0,
        psi_mem_pct=10.0,
        psi_io_pct=60.0,
    )
)


def unfit(answer: Answer, *, policy: Policy = ALL_LIMITS, needs_python: bool = True, age_s: float = 0.0) -> Unfit:
    plan = placed(sweep(answer, age_s=age_s), policy=policy, needs_python=needs_python, excluded=names("x"))
    assert not plan.chosen
    assert not plan.ranked
    (rejected,) = plan.unfit
    return rejected


@pytest.mark.parametrize(
    ("answer", "stage", "reason", "detail"),
    [
        pytest.param(node("x"), "excluded", "excluded", "", id="an excluded node is not used however idle"),
        pytest.param(silent("x"), "excluded", "excluded", "", id="an excluded silent node counts as excluded"),
        pytest.param(silent("n"), "silent", "hung", "no answer in 5 s", id="a silent node is never picked"),
        pytest.param(
            silent("n", Cause.AUTH, "publickey"),
            "silent",
            "authentication failed",
            "publickey",
            id="silence is told by its cause",
        ),
        pytest.param(
            node("n", r1m=None), "load", "load unknown", "run queue: not told", id="an unknown run queue is not zero"
        ),
        pytest.param(
            node("n", cpus=None), "load", "load unknown", "cpus: not told", id="unknown cpus are not many cpus"
        ),
        pytest.param(
            node("n", mem=None), "load", "load unknown", "memory: not told", id="unknown memory is not free memory"
        ),
        pytest.param(
            node("n", cpus=0),
            "load",
            "load unknown",
            "r1m 0, 0 cpus and 1000000 bytes of memory make no load",
            id="a node without cpus has no load",
        ),
        pytest.param(
            node("n", r1m=float("nan")),
            "load",
            "load unknown",
            "r1m nan, 4 cpus and 1000000 bytes of memory make no load",
            id="a load that is no number ranks nowhere",
        ),
        pytest.param(
            node("n", r1m=7.2, cpus=8),
            "thresholds",
            "load above 0.80",
            "load is 0.9 per cpu",
            id="more run queue per cpu than the limit",
        ),
        pytest.param(
            node("n", r1m=1.0, debt=3.0),
            "thresholds",
            "load above 0.80",
            "load is 1 per cpu",
            id="what was just placed counts against the limit",
        ),
        pytest.param(
            node("n", mem=9.0),
            "thresholds",
            "available memory below 10%",
            "available memory is 9%",
            id="less memory than the limit",
        ),
        pytest.param(
            node("n", ut=95.5), "thresholds", "cpu use above 90%", "cpu use is 95.5%", id="more cpu use than the limit"
        ),
        pytest.param(
            node("n", tmp=1.0), "thresholds", "free tmp below 5%", "free tmp is 1%", id="less tmp than the limit"
        ),
        pytest.param(
            node("n", psi=(51.0, 0.0, 0.0)),
            "thresholds",
            "cpu pressure above 50%",
            "cpu pressure is 51%",
            id="more cpu pressure than the limit",
        ),
        pytest.param(
            node("n", psi=(0.0, 11.0, 0.0)),
            "thresholds",
            "memory pressure above 10%",
            "memory pressure is 11%",
            id="more memory pressure than the limit",
        ),
        pytest.param(
            node("n", psi=(0.0, 0.0, 61.0)),
            "thresholds",
            "io pressure above 60%",
            "io pressure is 61%",
            id="more io pressure than the limit",
        ),
        pytest.param(
            node("n", r1m=40.0, mem=1.0),
            "thresholds",
            "load above 0.80",
            "load is 10 per cpu, available memory is 1%",
            id="several limits passed: the first is the reason, all are told",
        ),
        pytest.param(
            node("n", ut=None),
            "thresholds",
            "cpu use unknown",
            "cpu use unknown: not told",
            id="an index with a limit must be known",
        ),
        pytest.param(
            node("n", tmp=None),
            "thresholds",
            "free tmp unknown",
            "free tmp unknown: not told",
            id="unknown tmp space is not free",
        ),
        pytest.param(
            node("n", psi=None),
            "thresholds",
            "cpu pressure unknown",
            "cpu pressure unknown: not told, memory pressure unknown: not told, io pressure unknown: not told",
            id="a kernel without pressure cannot keep a limit on it",
        ),
        pytest.param(
            node("n", python=False),
            "python",
            "no python3",
            "`python3` is not on the PATH",
            id="a job needs python3 on its node",
        ),
    ],
)
def test_a_node_is_rejected_with_its_reason(answer: Answer, stage: str, reason: str, detail: str) -> None:
    rejected = unfit(answer)
    assert (rejected.filter, rejected.reason, rejected.detail) == (stage, reason, detail)


def test_an_index_without_a_limit_is_not_looked_at() -> None:
    nothing = Thresholds(r1m_per_cpu=None, mem_available_pct=None)
    overloaded = node("n", r1m=400.0, mem=0.0, ut=100.0, tmp=0.0, psi=(100.0, 100.0, 100.0))
    assert placed(sweep(overloaded), cpus=0.0, policy=Policy(thresholds=nothing)).chosen == ("n",)


@pytest.mark.parametrize(
    "at_its_limit",
    [node("n", r1m=3.2), node("n", mem=10.0), node("n", ut=90.0), node("n", psi=(50.0, 10.0, 60.0))],
)
def test_a_limit_itself_is_still_allowed(at_its_limit: Answer) -> None:
    assert placed(sweep(at_its_limit), policy=ALL_LIMITS).chosen == ("n",)


def test_python3_is_asked_for_only_where_a_job_needs_it() -> None:
    assert placed(sweep(node("n", python=False)), needs_python=False).chosen == ("n",)


def test_an_old_snapshot_places_nothing() -> None:
    rejected = unfit(node("n"), age_s=61.0)
    assert (rejected.filter, rejected.reason) == ("stale", "stale")
    assert rejected.detail == "measured 61 s ago, which is more than 60 s"


def test_a_snapshot_from_the_future_places_nothing() -> None:
    assert unfit(node("n"), age_s=-61.0).detail.startswith("measured 61 s in the future")


@pytest.mark.parametrize("age_s", [60.0, 0.0, -60.0])
def test_a_snapshot_counts_for_its_whole_age(age_s: float) -> None:
    assert placed(sweep(node("n"), age_s=age_s)).fits


def test_a_silent_node_stays_silent_in_an_old_snapshot() -> None:
    assert unfit(silent("n"), age_s=1000.0).reason == "hung"


def test_a_tmp_without_size_has_no_free_share() -> None:
    answer = node("n")
    sizeless = replace(answer, reading=replace(answer.reading, tmp=tmp_space(total=0, free=0)))
    assert unfit(sizeless).reason == "free tmp unknown"
