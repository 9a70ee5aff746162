"""What `rebalance` asks, and what it makes of it."""

from datetime import timedelta
from random import Random

import pytest

from clbalance.engine.fair_share import shares_of_waiting
from clbalance.engine.rebalance_facts import NodePool, choose_queued, plan_pools, read_inputs
from clbalance.engine.services import Services
from clbalance.model import Cause, NodeName, Plan, Request, Snapshot
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import Intent, JobState
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.rebalance.values import BalanceSettings
from tests.scripted import HangUp

from .services import EPOCH, probed, world_of

A, B = NodeName("a"), NodeName("b")
POOL = NodePool(name="pool", nodes=(A, B), policy=LEAST)


def submitted(services: Services, key: str, *, after: tuple[int, ...] = (), account: str = "") -> int:
    spec = JobSpec(id=0, key=key, name="j", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0)
    restart_policy = RestartPolicy(queue=True, after=after)
    request = Request(cpus=1.0)
    return services.journal.submit(
        EPOCH,
        Submitted(job=spec, request=request, candidates=(A, B), restart_policy=restart_policy, account=account),
    )


def queued(services: Services, key: str, *, after: tuple[int, ...] = (), account: str = "") -> int:
    number = submitted(services, key, after=after, account=account)
    assert services.journal.queue(number, attempt=1, reason="nothing fits")
    return number


def done(services: Services, key: str, state: JobState = JobState.COMPLETED) -> int:
    number = submitted(services, key)
    long_ago = EPOCH - timedelta(days=1)
    assert services.journal.finish(number, long_ago, attempt=1, state=state, reason="", rc=0)
    return number


def test_a_job_that_waits_is_not_forgotten_behind_thousands_that_have_ended() -> None:
    services = world_of({"a": probed(), "b": probed()})
    waits = queued(services, "w")
    for number in range(2100):
        done(services, f"{number}")
    facts = read_inputs(services, [A, B])
    assert list(facts.queued) == [waits]
    assert [one.record.id for one in facts.jobs] == [waits], "nor is looked at what ended long ago"


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_for_a_job_that_may_still_run_no_room_is_kept(is_cancelled: bool) -> None:
    services = world_of({"a": lambda _: [HangUp(cause=Cause.REFUSED, reason="")], "b": probed()})
    maybe = submitted(services, "x")
    services.journal.accept(maybe)
    intent = Intent(node=A, rank=0, boot_id="b", incarnation="x")
    plan = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
    assert services.journal.record_launch(maybe, attempt=1, claim=1, intents=[intent], plan=plan)
    services.journal.release(maybe)
    if is_cancelled:
        services.journal.cancel(maybe, "cancelled by u")
    waits = queued(services, "y")
    facts = read_inputs(services, [A, B])
    assert [one.record.id for one in facts.jobs] == [maybe, waits]
    assert list(facts.queued) == [waits]


def test_what_is_started_counts_in_the_plan_and_what_waits_for_others_waits() -> None:
    services = world_of({"a": probed(), "b": probed(9.0)})
    first = queued(services, "x")
    behind = queued(services, "y", after=(first,))
    never = queued(services, "z", after=(done(services, "f", JobState.FAILED),))
    facts = read_inputs(services, [A, B])
    chosen, charged = choose_queued(services, facts, lambda _: LEAST, Random(1))
    assert dict(chosen.starts) == {first: (A,)}
    assert chosen.waits == {behind: f"after job {first}"}
    assert list(chosen.never) == [never]
    plans = plan_pools(services, charged, [POOL], BalanceSettings(), uid=0, counts=False)
    before = {level.node: level.before for level in plans[0].plan.levels}
    now = plan_pools(services, facts, [POOL], BalanceSettings(), uid=0, counts=False)
    assert before[A] != {level.node: level.before for level in now[0].plan.levels}[A]


def test_a_node_is_over_once_more_only_where_that_counts() -> None:
    services = world_of({"a": probed(3.0), "b": probed()})
    for counts, times in ((False, 1), (False, 1), (True, 1), (True, 2)):
        facts = read_inputs(services, [A, B])
        (plan,) = plan_pools(services, facts, [POOL], BalanceSettings(), uid=0, counts=counts)
        assert plan.times_over == {A: times, B: 0}


def ran(services: Services, key: str, account: str) -> None:
    """A job of that account that has run for an hour, until now."""
    number = submitted(services, key, account=account)
    intent = Intent(node=A, rank=0, boot_id="b", incarnation="x")
    plan = Plan(wanted=1, chosen=(A,), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
    assert services.journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=plan)
    services.journal.started(number, EPOCH - timedelta(hours=1))
    assert services.journal.finish(number, EPOCH, attempt=1, state=JobState.COMPLETED, reason="", rc=0)


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_of_jobs_that_wait_those_of_who_used_less_come_first_unless_shares_are_off(weight: float) -> None:
    services = world_of({"a": probed(), "b": probed(9.0)}, fair_share=weight)
    ran(services, "h", "heavy")
    jobs = [queued(services, key, account=account) for key, account in (("x", "heavy"), ("y", "light"))]
    chosen, _ = choose_queued(services, read_inputs(services, [A, B]), lambda _: LEAST, Random(1))
    assert [job for job, _ in chosen.starts] == (list(reversed(jobs)) if weight else jobs)


def test_while_the_jobs_of_one_account_wait_alone_the_past_is_not_read() -> None:
    services = world_of({"a": probed(), "b": probed(9.0)})
    ran(services, "h", "other")
    waiting = [services.journal.submitted(queued(services, key, account="mine")) for key in "xy"]
    known = [one for one in waiting if one is not None]
    assert shares_of_waiting(services.journal, known, EPOCH, services.half_life_s) == {}
