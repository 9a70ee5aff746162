"""Jobs that were left behind: whoever looks next asks their nodes, and writes down what is certain."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.reconcile import reconcile
from clbalance.engine.jobs.reconciled import Reconciled, ReconcileRequest
from clbalance.engine.services import Services
from clbalance.model import Cause, NodeName, Plan, Request, Snapshot
from clbalance.model.job import Submitted
from clbalance.model.job_record import Exited, Intent, JobRecord, JobState, Lost, NotStarted, Outcome
from tests.engine.services import EPOCH, ScriptedAgent, job, probed, world_of
from tests.scripted import HangUp, ScriptedTransport

LOOK = FollowMode(streams=(), to_the_end=False, persist=False)


def left_on(services: Services, *nodes: str) -> JobRecord:
    """A job that was going to be started on these nodes by somebody who then died."""
    record = submitted(services)
    intents = [
        Intent(node=NodeName(node), rank=rank, boot_id="b00t", incarnation="b1rth") for rank, node in enumerate(nodes)
    ]
    plan = Plan(wanted=len(nodes), chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
    assert services.journal.record_launch(record.id, attempt=1, claim=1, intents=intents, plan=plan)
    services.journal.release(record.id)
    return services.journal.record(record.id) or record


def submitted(services: Services) -> JobRecord:
    number = services.journal.submit(EPOCH, Submitted(job=job(), request=Request(), candidates=()))
    record = services.journal.record(number)
    assert record is not None
    return record


def visited(services: Services, record: JobRecord) -> Reconciled:
    wanted = ReconcileRequest(record=record, spec=job(id=record.id), mode=LOOK, listener=NullListener())
    return reconcile(services, [wanted])[0]


def told(state: str) -> ScriptedAgent:
    """An agent that says so of any job."""
    return ScriptedAgent(
        rules={
            "settle": lambda request: [{"ev": "settled", "job": request["job"], "state": state}],
            "follow": lambda request: [{"ev": "current", "job": request["job"]}],
        }
    )


def test_that_a_node_is_silent_is_no_end_and_it_is_asked_again() -> None:
    services = world_of({"a": lambda _: [HangUp(cause=Cause.REFUSED, reason="")]})
    record = left_on(services, "a")
    for _ in range(2):
        seen = visited(services, record)
        assert [type(outcome.end) for outcome in seen.outcomes] == [Lost]
        assert [copy.outcome for copy in services.journal.copies(record.id)] == [None]
    services.transport.nodes[NodeName("a")] = probed(after=ScriptedAgent())  # type: ignore[attr-defined]
    assert visited(services, record).record.state is JobState.COMPLETED


def test_the_rest_of_a_job_that_has_not_started_everywhere_is_ended_by_the_next_to_look() -> None:
    agent = ScriptedAgent()
    services = world_of({"a": probed(), "b": probed(after=agent)})
    record = left_on(services, "a", "b")
    never = Outcome(node=NodeName("a"), rank=0, end=NotStarted(reason="void"), seconds=0.0)
    services.journal.ended(record.id, 1, never)
    visited(services, record)
    assert "end" in [request["op"] for request in agent.heard]


def test_a_job_whose_cancel_was_asked_for_is_ended_by_the_next_to_look() -> None:
    agent = ScriptedAgent(end={"kind": "cancelled", "why": "cancelled by u"})
    services = world_of({"a": lambda _: [HangUp(cause=Cause.REFUSED, reason="")]})
    record = left_on(services, "a")
    services.journal.cancel(record.id, "cancelled by u")
    assert visited(services, record).record.state is not JobState.CANCELLED
    services.transport.nodes[NodeName("a")] = probed(after=agent)  # type: ignore[attr-defined]
    seen = visited(services, record)
    assert [(one["op"], one.get("why")) for one in agent.heard[:2]] == [("settle", None), ("end", "cancelled by u")]
    assert (seen.record.state, seen.record.reason) == (JobState.CANCELLED, "cancelled by u")


def test_a_job_that_has_a_controller_is_not_ended_by_another_process() -> None:
    agent = told("running")
    services = world_of({"a": probed(after=agent)})
    record = replace(left_on(services, "a"), has_controller=True)
    services.journal.cancel(record.id, "cancelled by u")
    visited(services, record)
    assert "end" not in [request["op"] for request in agent.heard]


def test_a_job_that_runs_is_only_looked_at() -> None:
    agent = told("running")
    services = world_of({"a": probed(after=agent)})
    seen = visited(services, left_on(services, "a"))
    assert [request["op"] for request in agent.heard] == ["settle", "follow"]
    assert (seen.record.state, seen.outcomes) == (JobState.RUNNING, ())


@pytest.mark.parametrize("seconds", [0.0, 3.0, 7200.0])
@pytest.mark.parametrize("step_s", [-86_400, -600, 0, 600, 86_400])
def test_how_long_a_job_runs_is_told_by_its_node_though_our_clock_was_set_meanwhile(
    seconds: float, step_s: float
) -> None:
    agent = ScriptedAgent(
        rules={
            "settle": lambda request: [
                {"ev": "settled", "job": request["job"], "state": "running", "seconds": seconds}
            ],
            "follow": lambda request: [{"ev": "current", "job": request["job"]}],
        }
    )
    services = world_of({"a": probed(after=agent)})
    record = left_on(services, "a")
    services.journal.started(record.id, services.clock.now() - timedelta(seconds=seconds + step_s))
    seen = visited(services, record)
    assert seen.record.started_at is not None
    assert abs((services.clock.now() - seen.record.started_at).total_seconds() - seconds) < 2.0


def test_a_start_stays_where_it_was_while_the_job_is_followed() -> None:
    agent = ScriptedAgent(
        rules={
            "settle": lambda request: [{"ev": "settled", "job": request["job"], "state": "running", "seconds": 10.0}],
            "follow": lambda _: [],
        }
    )
    services = world_of({"a": probed(after=agent)})
    record, began = left_on(services, "a"), services.clock.now() - timedelta(seconds=10.0)
    services.journal.started(record.id, began - timedelta(seconds=600.0))
    wanted = ReconcileRequest(
        record=record, spec=job(id=record.id), mode=FollowMode(streams=()), listener=NullListener()
    )
    (seen,) = reconcile(services, [wanted], within_s=3600.0)
    assert services.clock.now() - began > timedelta(seconds=3600)
    assert seen.record.started_at is not None
    assert abs(seen.record.started_at - began) < timedelta(seconds=2)


@pytest.mark.parametrize("step_s", [-86_400, -600, 0, 600, 86_400])
def test_how_long_a_job_ran_is_told_by_its_node_though_our_clock_was_set_meanwhile(step_s: float) -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = left_on(services, "a")
    services.journal.started(record.id, services.clock.now() - timedelta(seconds=step_s))
    seen = visited(services, record)
    assert seen.record.started_at is not None
    assert seen.record.ended_at is not None
    assert seen.record.ended_at - seen.record.started_at == timedelta(seconds=seen.outcomes[0].seconds)
    assert seen.record.ended_at <= services.clock.now()


@pytest.mark.parametrize("state", ["running", "ended"])
def test_what_its_controller_did_between_our_look_and_its_death_is_not_overlooked(state: str) -> None:
    services = world_of({"a": probed(after=told("running") if state == "running" else ScriptedAgent())})
    stale = replace(submitted(services), has_controller=False)  # read before, found dead behind its last word
    intent = Intent(node=NodeName("a"), rank=0, boot_id="b00t", incarnation="b1rth")
    plan = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
    services.journal.record_launch(stale.id, attempt=1, claim=3, intents=[intent], plan=plan)
    services.journal.release(stale.id)
    seen = visited(services, stale)
    assert seen.record.state is (JobState.RUNNING if state == "running" else JobState.COMPLETED)
    if state == "ended":
        assert [outcome.end for outcome in seen.outcomes] == [Exited(rc=0)]


def of_two_logins(**changes: object) -> tuple[Services, list[ReconcileRequest]]:
    """One job of ours and one of ann's, on the same node; each login finds its own there and no other."""
    ours, anns = ScriptedAgent(end={"kind": "exited", "rc": 1}), ScriptedAgent(end={"kind": "exited", "rc": 2})
    hers = ScriptedTransport({NodeName("a"): probed(after=anns)})
    services = world_of({"a": probed(after=ours)}, **changes)
    assert isinstance(services.transport, ScriptedTransport)
    services.transport.users["ann"] = hers
    requests = [
        ReconcileRequest(
            record=record,
            spec=job(id=record.id, user=user),
            mode=FollowMode(streams=()),
            listener=NullListener(),
        )
        for user in ("ann", None)
        for record in (left_on(services, "a"),)
    ]
    return services, requests


def test_each_job_is_looked_for_by_the_login_that_it_remembers() -> None:
    services, requests = of_two_logins()
    seen = reconcile(services, requests)
    assert [one.record.id for one in seen] == [one.record.id for one in requests], "in the order in which it was asked"
    assert [outcome.end for one in seen for outcome in one.outcomes] == [Exited(rc=2), Exited(rc=1)]


def test_a_login_that_was_told_for_this_call_holds_for_all_of_them() -> None:
    services, requests = of_two_logins(typed_user="root")
    seen = reconcile(services, requests)
    assert [outcome.end for one in seen for outcome in one.outcomes] == [Exited(rc=1), Exited(rc=1)]
