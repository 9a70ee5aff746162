"""Why a job is not started after others: in the words in which one is told that waits in the queue."""

import pytest

from clbalance.engine.jobs.submitted import await_dependencies
from clbalance.engine.services import Services
from clbalance.model import NodeName, Plan, Request, Snapshot
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import Intent, JobState
from clbalance.policy.jobs.record import Dependency, DependencyState
from tests.engine.services import EPOCH, world_of

NO_PLAN = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
GONE = NodeName("gone")
CANCELLED = Dependency(state=DependencyState.NEVER, reason="cancelled")


def before(services: Services, state: JobState) -> int:
    """A job that stands so; nobody has it in hand, and its node does not answer."""
    spec = JobSpec(
        id=0, key="a" * 32, name="j", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0
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
