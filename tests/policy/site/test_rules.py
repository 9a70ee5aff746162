"""What plug-ins of a site do to a placement: health checks, thresholds and conditions on their indices, rules."""

from dataclasses import replace
from random import Random

import pytest

from clbalance.model import Measured, Plan, Request, Unknown
from clbalance.model.checkup import Severity
from clbalance.model.plugins import CheckResult, CheckState, ExternalIndex, ExternalUnit, ExternalValue, SiteReading
from clbalance.model.request import Constraints
from clbalance.policy.expressions.where import parse_order, parse_where
from clbalance.policy.placement.explain import NodeState, node_state
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST, Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.site.findings import site_findings
from clbalance.policy.site.rules import SiteFilter, SiteRules, SiteScorer
from tests.policy.build import NOW, node, sweep

SCRATCH = ExternalIndex(name="scratch", unit=ExternalUnit.PERCENT, busy_below=5)
HEAT = ExternalIndex(name="heat", busy_above=30.0)
HUNG = Unknown(reason="did not end within 2 s")
FORCED = Request(constraints=Constraints(force=True))


def at(name: str, scratch: float | Unknown = 50.0, heat: float | Unknown = 20.0, **checks: CheckState) -> Measured:
    found = SiteReading(
        values=(ExternalValue(SCRATCH, scratch), ExternalValue(HEAT, heat)),
        checks=tuple(CheckResult(check, state, f"{check} says") for check, state in checks.items()),
    )
    return replace(node(name), site=found)


def placed_on(*answers: Measured, request: Request | None = None, policy: Policy | None = None) -> Plan:
    thresholds = Thresholds((SCRATCH, HEAT))
    chosen = replace(LEAST, thresholds=thresholds) if policy is None else policy
    return place(sweep(*answers), request or Request(), chosen, NOW, Random(1))


def why_not(answer: Measured, request: Request | None = None, policy: Policy | None = None) -> list[str]:
    return [one.phrase for one in placed_on(answer, request=request, policy=policy).unfit]


# -- health checks


def test_a_critical_check_keeps_jobs_away_for_its_reason() -> None:
    answer = at("n", disk=CheckState.CRITICAL)
    assert why_not(answer) == ["check disk critical: disk says"]
    condition = node_state(answer, Thresholds(), NOW)
    assert (condition.state, condition.reason) == (NodeState.UNFIT, "check disk critical: disk says")


def test_a_warning_is_told_and_changes_nothing_else() -> None:
    answer = at("n", disk=CheckState.WARNING, fan=CheckState.OK)
    assert why_not(answer) == []
    condition = node_state(answer, Thresholds(), NOW)
    assert (condition.state, condition.reason) == (NodeState.UP, "check disk warning: disk says")
    busy = node_state(replace(answer, reading=node("n", r1m=40.0).reading), Thresholds(), NOW)
    assert (busy.state, (busy.reason or "").partition("; ")[2]) == (NodeState.BUSY, "check disk warning: disk says")


def test_an_unknown_check_leaves_the_state_alone() -> None:
    answer = at("n", disk=CheckState.UNKNOWN)
    assert why_not(answer) == []
    assert node_state(answer, Thresholds(), NOW) == node_state(node("n"), Thresholds(), NOW)


def test_force_sets_checks_and_thresholds_of_the_site_aside_and_tells_them() -> None:
    plan = placed_on(at("n", scratch=1.0, disk=CheckState.CRITICAL), request=FORCED)
    assert plan.chosen == ("n",)
    assert [one.phrase for one in plan.set_aside] == [
        "check disk critical: disk says",
        "scratch below 5%: scratch is 1%",
    ]


# -- external indices


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        pytest.param(at("n", 5.0, 30.0), [], id="at its threshold a node takes jobs"),
        pytest.param(at("n", 4.9), ["scratch below 5%: scratch is 4.9%"], id="below a floor"),
        pytest.param(at("n", heat=31), ["heat above 30: heat is 31"], id="above a ceiling"),
        pytest.param(at("n", scratch=HUNG), ["scratch unknown: did not end within 2 s"], id="unknown"),
    ],
)
def test_past_a_threshold_of_an_external_index_a_node_takes_no_jobs(answer: Measured, reasons: list[str]) -> None:
    assert why_not(answer) == reasons
    state = node_state(answer, Thresholds((SCRATCH, HEAT)), NOW).state
    expected = NodeState.UNKNOWN if answer.site.value("scratch") == HUNG else NodeState.BUSY
    assert state == (expected if reasons else NodeState.UP)


def test_conditions_and_orders_know_external_indices_as_numbers() -> None:
    few, many, hung = at("few", 9.0), at("many", 10.0), at("hung", HUNG)
    request = Request(pick=None, constraints=Constraints(where="scratch >= 9.5% and heat < 100"))
    plan = placed_on(few, many, hung, request=request)
    assert plan.chosen == ("many",)
    assert [one.phrase for one in plan.unfit] == [
        "not meeting --where scratch >= 9.5%: scratch is 9%",
        "scratch unknown: did not end within 2 s",
    ]
    by_order = placed_on(few, many, request=Request(pick=None, constraints=Constraints(order="-scratch")))
    assert by_order.chosen == ("many", "few")


def test_a_job_from_settings_with_more_indices_is_placed_nowhere_and_keeps_no_other_from_it() -> None:
    where = Request(constraints=Constraints(where="scratch >= 5%"))
    (unfit,) = placed_on(node("n"), request=where, policy=LEAST).unfit
    assert unfit.reason == "--where not understood"
    order = Request(pick=None, constraints=Constraints(order="scratch / cpus"))
    assert placed_on(node("n"), node("m"), request=order, policy=LEAST).chosen == ("m", "n")


def test_without_the_index_its_name_is_that_of_a_label() -> None:
    assert parse_where("scratch = x", external=()).unmet(node("n")) is not None
    assert parse_order("-scratch", external=(SCRATCH,))[0].text == "-scratch"


# -- rules


def with_rules(*filters: SiteFilter, scorers: tuple[SiteScorer, ...] = ()) -> Policy:
    return replace(LEAST, rules=SiteRules(filters=filters, scorers=scorers))


def test_a_filter_of_the_site_keeps_nodes_out_with_its_reason() -> None:
    policy = with_rules(SiteFilter("big", lambda answer, request: "kept" if answer.node == "a" else None))
    plan = placed_on(at("a"), at("b"), policy=policy)
    assert plan.chosen == ("b",)
    assert [(one.filter, one.phrase) for one in plan.unfit] == [("plug-in", "kept: says the filter big")]


def test_a_filter_that_fails_lets_no_node_pass_but_by_force() -> None:
    policy = with_rules(SiteFilter("big", lambda *_: Unknown(reason="failed: ValueError")))
    assert why_not(at("n"), policy=policy) == ["filter big failed: failed: ValueError"]
    plan = placed_on(at("n"), request=FORCED, policy=policy)
    assert (plan.chosen, [one.filter for one in plan.set_aside]) == (("n",), ["plug-in"])


def test_filters_see_only_nodes_that_would_take_the_job() -> None:
    seen: list[str] = []

    def look(answer: Measured, _: Request) -> None:
        seen.append(answer.node)

    placed_on(at("ill", disk=CheckState.CRITICAL), at("well"), policy=with_rules(SiteFilter("look", look)))
    assert set(seen) == {"well"}


def test_a_scorer_of_the_site_counts_by_its_weight() -> None:
    quiet = SiteScorer("quiet", lambda answer, _: 100.0 if answer.node == "b" else 0.0, 1000.0)
    plan = placed_on(at("a"), replace(at("b"), reading=node("b", r1m=3.0).reading), policy=with_rules(scorers=(quiet,)))
    assert plan.chosen == ("b",)
    term = plan.ranked[0].terms[-1]
    assert (term.name, term.points, term.weight) == ("quiet", 100.0, 1000.0)


def test_a_scorer_that_fails_is_an_unknown_term_with_the_reason() -> None:
    broken = SiteScorer("broken", lambda *_: Unknown(reason="failed: KeyError: x"), 1.0)
    term = placed_on(at("a", scratch=50.0), policy=with_rules(scorers=(broken,))).ranked[0].terms[-1]
    assert (term.unknown, term.source) == (True, "failed: KeyError: x")


# -- `doctor`


def test_doctor_tells_what_a_plugin_did_wrong() -> None:
    answer = at("n", HUNG, disk=CheckState.CRITICAL, fan=CheckState.UNKNOWN, ok=CheckState.OK)
    found = list(site_findings(replace(answer.site, remarks=("index a printed r1m, which is not its own name",))))
    assert [one.severity for one in found] == [Severity.WRONG, Severity.NOTE, Severity.NOTE, Severity.NOTE]
    assert [one.what for one in found] == [
        "check disk critical: disk says: no job is placed there",
        "check fan unknown: fan says",
        "index scratch is unknown: did not end within 2 s",
        "index a printed r1m, which is not its own name",
    ]
