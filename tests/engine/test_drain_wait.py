"""What is asked to be moved off nodes that are drained: our marked jobs, each once, when there is room for it."""

from collections.abc import Sequence
from random import Random

from clbalance.engine.drain_wait import DrainMigrator
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName, Plan, Request, Snapshot
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import Intent, JobRecord
from clbalance.policy.drain_progress import Eviction
from clbalance.policy.placement.policies import LEAST
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.scripted import HangUp

from .services import EPOCH, Notes, probed, world_of

OLD = NodeName("old")
NO_PLAN = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))


def running(
    services: Services, key: str, *, restart_policy: RestartPolicy, to: str = "old new", on: NodeName = OLD
) -> int:
    """A job that runs there, and who may go where `to` says."""
    spec = JobSpec(
        id=0, key=key * 32, name="j", payload=Command(argv=("true",)), chdir="/", chdir_explicit=False, umask=0
    )
    candidates = tuple(NodeName(name) for name in to.split())
    number = services.journal.submit(
        EPOCH, Submitted(job=spec, request=Request(cpus=0.0), candidates=candidates, restart_policy=restart_policy)
    )
    intent = Intent(node=on, rank=0, boot_id="b", incarnation="x")
    assert services.journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=NO_PLAN)
    services.journal.started(number, EPOCH)
    return number


def test_each_marked_job_is_asked_to_be_moved_once_and_no_other() -> None:
    services = world_of({"old": probed(), "new": probed()})
    marked = running(services, "a", restart_policy=RestartPolicy(requeue=True))
    running(services, "b", restart_policy=RestartPolicy())
    running(services, "c", restart_policy=RestartPolicy(requeue=True), on=NodeName("new"))
    asked: list[Eviction] = []

    def move(_: Services, some: Sequence[Eviction]) -> None:
        asked.extend(some)

    moves = DrainMigrator(services, [OLD], lambda _: LEAST, Random(1), move)
    for _ in range(3):
        moves.migrate_what_fits()
    assert asked == [Eviction(job=marked, src=OLD, dst=NodeName("new"))]


def test_one_for_which_there_is_no_room_yet_is_asked_later_and_nobody_is_swept_for_it_meanwhile() -> None:
    loads, samples = iter([99.0, 0.0]), list[float]()

    def emptied(text: bytes) -> Sequence[bytes | HangUp]:
        samples.append(services.clock.monotonic())
        return probed(next(loads))(text)

    services = world_of({"old": probed(), "new": emptied})
    running(services, "a", restart_policy=RestartPolicy(requeue=True))
    asked: list[Eviction] = []
    moves = DrainMigrator(services, [OLD], lambda _: LEAST, Random(1), lambda _, some: asked.extend(some))
    while not asked:
        moves.migrate_what_fits()
        services.clock.pause(10.0)
    assert [one.dst for one in asked] == ["new"]
    assert samples[1] - samples[0] >= 60.0


class Locked(InMemoryJournal):
    """Cannot be read the first time."""

    reads = 0

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        self.reads += 1
        if self.reads == 1:
            raise StoreError("database is locked")
        return super().records(over=over, newest=newest)


def test_a_journal_that_cannot_be_read_is_told_and_read_at_the_next_look() -> None:
    notes = Notes()
    services = world_of({"old": probed(), "new": probed()}, journal=Locked(), listener=notes)
    running(services, "a", restart_policy=RestartPolicy(requeue=True))
    asked: list[Eviction] = []
    moves = DrainMigrator(services, [OLD], lambda _: LEAST, Random(1), lambda _, some: asked.extend(some))
    moves.migrate_what_fits()
    assert (asked, notes.forgotten) == ([], ["database is locked"])
    moves.migrate_what_fits()
    assert [one.dst for one in asked] == ["new"]
