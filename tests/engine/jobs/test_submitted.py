"""Why a job is not started after others: in the words in which one is told that waits in the queue."""

import json
from collections.abc import Callable, Sequence

import pytest

from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.submitted import await_dependencies, await_ends, cancel, read, refresh, signal
from clbalance.engine.services import Services
from clbalance.model import Cause, NodeName, Plan, Request, Snapshot
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import Intent, JobRecord, JobState, Lost
from clbalance.policy.jobs.record import Dependency, DependencyState
from tests.engine.services import EPOCH, ScriptedAgent, world_of
from tests.scripted import HangUp, Later, ScriptedNode, ScriptedTransport

NO_PLAN = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
GONE = NodeName("gone")
CANCELLED = Dependency(state=DependencyState.NEVER, reason="cancelled")


def before(services: Services, state: JobState, *, user: str | None = None) -> int:
    """A job that stands so; nobody has it in hand, and its node does not answer."""
    spec = JobSpec(
        id=0,
        key="a" * 32,
        name="j",
        payload=Command(argv=("true",)),
        chdir="/",
        chdir_explicit=False,
        umask=0,
        user=user,
    )
    number = services.journal.submit(
        EPOCH, Submitted(job=spec, request=Request(), candidates=(GONE,), restart_policy=RestartPolicy())
    )
    intent = Intent(node=GONE, rank=0, boot_id="b", incarnation="x")
    assert services.journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=NO_PLAN)
    services.journal.started(number, EPOCH)
    if state.is_over:
        assert services.journal.finish(number, EPOCH, attempt=1, state=state, reason="", rc=0)
    services.journal.release(number)
    return number


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ((JobState.COMPLETED, JobState.COMPLETED), ""),
        ((JobState.COMPLETED, JobState.TIMEOUT), "after job 2, which is TIMEOUT"),
        ((JobState.COMPLETED, JobState.RUNNING), "after job 2"),  # its nodes do not answer any more
        ((JobState.COMPLETED, None), "after job 2, which is not remembered"),
    ],
)
def test_a_job_comes_after_others_that_are_completed(states: tuple[JobState | None, ...], reason: str) -> None:
    services = world_of({})
    for state in states:
        if state is not None:
            before(services, state)
    found = await_dependencies(services, 9, RestartPolicy(after=tuple(range(1, len(states) + 1))))
    assert found.reason == reason
    assert (found.state is DependencyState.SATISFIED) == (not reason)


def test_one_that_is_cancelled_while_it_waits_waits_no_longer() -> None:
    services = world_of({})
    first, second = before(services, JobState.RUNNING), before(services, JobState.RUNNING)
    services.journal.cancel(second, "cancelled by alice")
    assert await_dependencies(services, second, RestartPolicy(after=(first,))) == CANCELLED


# A refusal is an answer: to who only visits a job, not to who goes on following it.


@pytest.mark.parametrize(
    "visit",
    [
        lambda services, record: await_ends(services, [record])[0],
        lambda services, record: cancel(services, [record], "cancelled by alice")[0],
        lambda services, record: signal(services, [record], 10)[0],
        lambda services, record: refresh(services, [record])[0],
        lambda services, record: read(services, record, NullListener(), streams=("stdout",), to_the_end=False),
        lambda services, record: read(services, record, NullListener(), streams=("stdout",), to_the_end=True),
    ],
    ids=["wait", "cancel", "signal", "jobs", "logs", "attach"],
)
def test_a_node_that_refuses_is_called_once_and_its_reason_is_told(
    visit: Callable[[Services, JobRecord], Reconciled],
) -> None:
    services = world_of({"gone": lambda _: [HangUp(cause=Cause.REFUSED, reason="port 22: Connection refused")]})
    record = services.journal.record(before(services, JobState.RUNNING))
    assert record is not None
    seen = visit(services, record)
    assert [outcome.end for outcome in seen.outcomes] == [
        Lost(cause=Cause.REFUSED, reason="port 22: Connection refused")
    ]
    assert opened(services) == [GONE]
    assert services.clock.monotonic() < 2.0


def test_a_node_that_was_reached_and_is_lost_is_called_again() -> None:
    calls = iter([told("running"), lambda _: [HangUp(cause=Cause.REFUSED, reason="no sshd")], told("ended")])
    agent: list[ScriptedNode] = []

    def node(text: bytes) -> Sequence[bytes | HangUp]:
        if text.startswith(b"exec python3"):
            agent[:] = [next(calls)]
        return agent[0](text)

    services = world_of({"gone": node})
    record = services.journal.record(before(services, JobState.RUNNING))
    assert record is not None
    (seen,) = await_ends(services, [record])
    assert seen.record.state is JobState.COMPLETED
    assert len(opened(services)) == 3


def test_logs_are_read_for_as_long_as_pieces_come() -> None:
    agent = ScriptedAgent()

    def slow(text: bytes) -> Sequence[bytes | HangUp | Later]:
        if text.startswith(b"exec python3") or json.loads(text)["op"] != "follow":
            return agent(text)
        job = {"job": json.loads(text)["job"]}
        piece = {"ev": "output", **job, "stream": "stdout", "data": "eA=="}
        pieces = [Later(3.0 * n, agent.line({**piece, "offset": n})) for n in range(100)]
        return [*pieces, Later(300.0, agent.line({"ev": "current", **job}))]

    services, shown = world_of({"gone": slow}), Shown()
    record = services.journal.record(before(services, JobState.RUNNING))
    assert record is not None
    seen = read(services, record, shown, streams=("stdout",), to_the_end=False)
    assert (shown.text, seen.outcomes) == (b"x" * 100, ())
    assert services.clock.monotonic() == pytest.approx(300.0)


class Shown(NullListener):
    text = b""

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        del node, stream
        self.text += piece


def test_who_waits_for_a_dependency_calls_again_for_its_job_would_be_lost_for_ever() -> None:
    services = world_of({})
    first = before(services, JobState.RUNNING)
    await_dependencies(services, 9, RestartPolicy(after=(first,)))
    assert len(opened(services)) > 1


def told(state: str) -> ScriptedNode:
    """An agent whose job is in that state. One that runs loses its connection."""
    lost = {"hang_up": {"cause": Cause.LOST, "reason": "connection lost"}}
    rules = {"settle": lambda request: [{"ev": "settled", "job": request["job"], "state": state}]}
    return ScriptedAgent(rules=rules | ({"follow": lambda _: [lost]} if state == "running" else {}))  # type: ignore[arg-type]


def opened(services: Services) -> list[NodeName]:
    assert isinstance(services.transport, ScriptedTransport)
    return services.transport.opened


# A cancel with another login than the job's.


@pytest.mark.parametrize(("theirs", "is_kept"), [("alice", False), ("bob", True), (None, True)])
def test_a_cancel_is_kept_only_for_a_job_of_the_login_that_was_typed(theirs: str | None, is_kept: bool) -> None:
    services = world_of({}, typed_user="bob")
    number = before(services, JobState.RUNNING, user=theirs)
    record = services.journal.record(number)
    assert record is not None
    (seen,) = cancel(services, [record], "cancelled by u")
    assert seen.record.cancel_requested == ("cancelled by u" if is_kept else "")
