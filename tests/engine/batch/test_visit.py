"""Jobs of a batch system that answers as it is told to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from clbalance.engine.batch.launch import launch
from clbalance.engine.jobs.submitted import await_ends, refresh
from clbalance.engine.services import Services
from clbalance.errors import EngineError
from clbalance.model import NodeName, Plan, Request, Snapshot
from clbalance.model.engine import Accepted, Answer, EngineJob, EngineNode, EngineOrder, Prepared, Refused
from clbalance.model.job import NoInput, RestartPolicy, Submitted
from clbalance.model.job_record import Cancelled, Exited, Intent, JobRecord, JobState, Lost, Outcome
from clbalance.ports import JobInput
from tests.engine.services import EPOCH, job, world_of

PLACE = NodeName("slurm")
N1 = NodeName("n1")
NO_PLAN = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
WAITS = EngineJob(name="", id="7", state=JobState.PENDING, reason="Slurm: Resources")
RUNS = EngineJob(name="", id="7", state=JobState.RUNNING, nodes=(N1,))


def over(end: Exited | Cancelled) -> EngineJob:
    return replace(RUNS, outcomes=(Outcome(node=N1, rank=0, end=end, seconds=1.0),))


@dataclass
class ScriptedEngine:
    """`says`: its answers to `look_up`, in turn; the last one again and again. Every job is one and the same."""

    says: list[Callable[[], EngineJob | None]]
    name: str = "slurm"
    orders: list[EngineOrder] = field(default_factory=list)

    def prepare(self, order: EngineOrder, stdin: JobInput) -> Prepared | Refused:
        self.orders.append(order)
        return Prepared(name=order.name)

    def submit(self, prepared: Prepared, *, keep_open: Collection[int] = ()) -> Answer:
        return Accepted("8")

    def look_up(self, names: Collection[str], *, max_age_s: float = 0.0) -> Mapping[str, EngineJob]:
        said = (self.says.pop(0) if len(self.says) > 1 else self.says[0])()
        return {} if said is None else {name: replace(said, name=name) for name in names}

    def withdraw(self, name: str) -> bool:
        return False

    def cancel(self, name: str) -> None:
        return None

    def signal(self, name: str, number: int) -> None:
        return None

    def output(self, name: str, rank: int, stream: str, offset: int) -> bytes:
        return b""

    def nodes(self) -> tuple[EngineNode, ...]:
        return ()

    def drain(self, nodes: Collection[NodeName], reason: str) -> str:
        return ""

    def resume(self, nodes: Collection[NodeName]) -> str:
        return ""


def silent() -> EngineJob:
    raise EngineError("Slurm does not answer")


def services_with(*says: Callable[[], EngineJob | None]) -> tuple[Services, ScriptedEngine]:
    engine = ScriptedEngine(list(says))
    return world_of({}, engine=lambda _: engine), engine


def submitted(**more: object) -> Submitted:
    return Submitted(job=job(), request=Request(), candidates=(N1,), engine="slurm", **more)  # type: ignore[arg-type]


def launched(services: Services) -> JobRecord:
    """A job that was submitted, whose number was not heard; nobody controls it."""
    number = services.journal.submit(EPOCH, submitted())
    intent = Intent(node=PLACE, rank=0, boot_id="", incarnation="")
    assert services.journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=NO_PLAN)
    services.journal.release(number)
    found = services.journal.record(number)
    assert found is not None
    return found


def test_the_number_of_a_job_that_waits_is_kept_for_others_that_come_after_it() -> None:
    services, _ = services_with(lambda: WAITS)
    record = launched(services)
    refresh(services, [record])
    assert [copy.engine_id for copy in services.journal.copies(record.id)] == ["7"]


def test_a_followed_job_that_somebody_cancels_ends_with_that_reason() -> None:
    def cancelled() -> EngineJob:
        services.journal.cancel(record.id, "cancelled by alice")
        return over(Cancelled(reason="Slurm: CANCELLED"))

    services, _ = services_with(lambda: RUNS, cancelled)
    record = launched(services)
    (found,) = await_ends(services, [record])
    assert [one.end for one in found.outcomes] == [Cancelled(reason="cancelled by alice")]
    assert found.record.state is JobState.CANCELLED


@pytest.mark.parametrize("said", [silent, lambda: None], ids=["no answer", "not there, and may have run"])
def test_what_nobody_knows_is_no_end(said: Callable[[], EngineJob | None]) -> None:
    services, _ = services_with(said)
    record = launched(services)
    (found,) = refresh(services, [record])
    assert [type(one.end) for one in found.outcomes] == [Lost]
    assert not found.record.state.is_over


@pytest.mark.parametrize(
    ("rc", "answer"),
    [(0, Accepted("8")), (3, Refused("job 1 is FAILED"))],
    ids=["completed", "failed"],
)
def test_a_job_comes_after_one_whose_end_nobody_has_recorded(rc: int, answer: Answer) -> None:
    services, engine = services_with(lambda: over(Exited(rc=rc)))
    first = launched(services)
    second = submitted(restart_policy=RestartPolicy(after=(first.id,)))
    number = services.journal.submit(EPOCH, second)
    assert launch(services, job(id=number), second, NoInput()) == answer
    assert [order.after for order in engine.orders] == ([()] if rc == 0 else [])
