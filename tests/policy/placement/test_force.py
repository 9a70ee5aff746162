"""What `--force` sets aside, and what it never does."""

from dataclasses import replace
from random import Random

import pytest

from clbalance.model import Measured, NodeName, Plan, Request, Unknown
from clbalance.model.request import Constraints
from clbalance.model.slurm import SlurmNode
from clbalance.policy.placement.force import unforced
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.placement.quorum import Quorum, enough_for
from tests.policy.build import ME, NOW, ROOT, SHE, drain, lease, node, silent, sweep

FORCED = Request(needs_python=True, constraints=Constraints(force=True))


def by_force(answer: Measured, request: Request = FORCED) -> Plan:
    return place(sweep(answer), request, LEAST, NOW, Random(1))


def told(plan: Plan) -> list[tuple[str, str]]:
    return [(one.filter, one.phrase) for one in plan.set_aside]


def admin(answer: Measured) -> Measured:
    return replace(answer, reading=replace(answer.reading, may_drain_for_all=True))


@pytest.mark.parametrize(
    ("answer", "aside"),
    [
        pytest.param(node("n"), [], id="nothing where the node fits as it is"),
        pytest.param(
            node("n", r1m=9.0),
            [("thresholds", "load above 1.00: load is 2.25 per cpu")],
            id="a threshold, and the cpus that others use",
        ),
        pytest.param(
            node("n", r1m=4.0),
            [("cpus", "too few cpus free: 1 requested, 0.5 of 4 free, 0 allocated")],
            id="load without a lease, below the threshold",
        ),
        pytest.param(
            replace(node("n"), suspect="3 probes in a row failed; answered 1 of 2"),
            [("suspect", "suspect: 3 probes in a row failed; answered 1 of 2")],
            id="suspicion",
        ),
        pytest.param(
            replace(
                node("n"), slurm=SlurmNode(node=NodeName("n"), state="DOWN", reason="disk"), suspect="3 probes failed"
            ),
            [("slurm", "out of service in Slurm: DOWN: disk"), ("suspect", "suspect: 3 probes failed")],
            id="what Slurm says, and suspicion",
        ),
        pytest.param(
            node("n", drains=(drain(uid=ME, binds_all=False),)),
            [("drained", f"drained: disk (by alice, uid {ME})")],
            id="one's own drain",
        ),
        pytest.param(
            admin(node("n", drains=(drain(uid=ROOT),))),
            [("drained", "drained: disk (by alice)")],
            id="root's drain, for those who may set one",
        ),
        pytest.param(
            replace(node("n", r1m=9.0, drains=(drain(uid=ME, binds_all=False),)), suspect="silent"),
            [
                ("drained", f"drained: disk (by alice, uid {ME})"),
                ("suspect", "suspect: silent"),
                ("thresholds", "load above 1.00: load is 2.25 per cpu"),
            ],
            id="all of it at once, each said",
        ),
    ],
)
def test_by_force_a_node_takes_a_job_past(answer: Measured, aside: list[tuple[str, str]]) -> None:
    plan = by_force(answer)
    assert (plan.chosen, told(plan)) == (("n",), aside)
    assert bool(by_force(answer, unforced(FORCED)).chosen) is (not aside)


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        pytest.param(node("n", drains=(drain(uid=ROOT),)), "drained", id="root's drain"),
        pytest.param(
            node("n", drains=(drain(uid=ME, binds_all=False), drain(uid=ROOT))), "drained", id="root's beside one's own"
        ),
        pytest.param(node("n", drains=(drain(uid=SHE),)), "drained", id="an administrator's drain"),
        pytest.param(node("n", leases=(lease(cpus=4.0),)), "cpus", id="leases"),
        pytest.param(node("n", leases=(lease(exclusive=True),)), "exclusive", id="an exclusive lease"),
        pytest.param(node("n", leases=None), "leases", id="leases that are unknown"),
        pytest.param(node("n", r1m=None), "load", id="load that is unknown"),
        pytest.param(node("n", python=False), "python", id="what makes it unfit for jobs"),
        pytest.param(replace(node("n"), taints=frozenset({"maintenance"})), "taints", id="taints"),
    ],
)
def test_force_never_sets_aside(answer: Measured, stage: str) -> None:
    plan = by_force(answer)
    assert (plan.chosen, [one.filter for one in plan.unfit], told(plan)) == ((), [stage], [])


def test_memory_that_is_not_there_is_not_forced() -> None:
    plan = by_force(node("n", mem=2.0), replace(FORCED, mem_bytes=10**8))
    assert [one.filter for one in plan.unfit] == ["memory"]


def test_an_administrator_whose_rights_are_unknown_has_none() -> None:
    answer = node("n", drains=(drain(uid=ROOT),))
    unknown = replace(answer, reading=replace(answer.reading, may_drain_for_all=Unknown(reason="timed out")))
    assert by_force(unknown).chosen == ()


def test_suspects_are_waited_for_like_others() -> None:
    for request, waits in ((FORCED, True), (unforced(FORCED), False)):
        quorum = Quorum(2 if waits else 1, enough_for(replace(request, pick=None), LEAST, NOW))
        quorum.add(node("n"), 0.5, trusted=True)
        assert (quorum.go_on_at is None) is waits
        quorum.add(silent("suspect"), 0.7, trusted=False)
        assert quorum.go_on_at is not None
