"""A job whose cancel waits is ended on the way to another one, and keeps nobody long."""

import random
from dataclasses import dataclass, field

import pytest

from clbalance.engine.jobs.cancel import cancel_requested
from clbalance.engine.run.place_now import place_now
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import NodeName, Plan, Request, Snapshot
from clbalance.model.job import Submitted
from clbalance.model.job_record import Exited, Intent, JobState
from clbalance.policy.placement.policies import LEAST
from tests.engine.run.test_run import do, ends
from tests.engine.services import EPOCH, ScriptedAgent, job, probed, world_of
from tests.scripted import HangUp, Later

OLD = "cd" * 16


@dataclass
class Holding(ScriptedAgent):
    """The cancelled job runs here until it is ended; or it does not die. Others end at once."""

    dies: bool = True
    is_held: bool = field(default=True)
    before: bytes = b""
    """The nonce of the agent that was sent with the probe, while another one ends the cancelled job."""
    of_old: bytes = b""

    def __call__(self, text: bytes) -> list[bytes | HangUp]:
        if not text.startswith(b"{"):
            self.before = self.nonce
        elif OLD.encode() in text:
            self.of_old = self.nonce
        elif self.nonce == self.of_old:
            self.nonce = self.before
        return super().__call__(text)

    def usual(self, op: str, request: dict[str, object]) -> list[dict[str, object]]:
        if not str(request["job"]).startswith(OLD):
            return super().usual(op, request)
        if op == "end" and self.dies:
            self.is_held = False
            end = {"kind": "cancelled", "why": request["why"]}
            return [{"ev": "ended", "job": request["job"], "end": end, "seconds": 9.0}]
        return super().usual(op, request) if op == "settle" else []


def cluster(agent: Holding, *, is_full: bool = False) -> Services:
    """One node; full: as long as the cancelled job is there."""

    def node(text: bytes) -> list[bytes | HangUp | Later]:
        load = 9.0 if is_full and agent.is_held else 0.5
        return list(probed(load, after=agent)(text))

    services = world_of({"a": node})
    asked = Submitted(job=job(key=OLD), request=Request(), candidates=())
    number = services.journal.submit(EPOCH, asked)
    intent = Intent(node=NodeName("a"), rank=0, boot_id="b00t", incarnation="b1rth")
    plan = Plan(wanted=1, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=EPOCH, answers=()))
    assert services.journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=plan)
    services.journal.started(number, EPOCH)
    services.journal.release(number)
    services.journal.cancel(number, "cancelled by u")
    assert cancel_requested(services, number)
    return services


def state(services: Services) -> JobState:
    record = services.journal.record(1)
    assert record is not None
    return record.state


@pytest.mark.parametrize("is_full", [False, True])
def test_a_run_ends_it_and_has_its_room(is_full: bool) -> None:
    services = cluster(Holding(), is_full=is_full)
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert state(services) is JobState.CANCELLED


def test_one_that_does_not_die_keeps_a_run_for_two_seconds() -> None:
    services = cluster(Holding(dies=False))
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert services.clock.monotonic() <= 3.0
    assert state(services) is JobState.RUNNING


@pytest.mark.parametrize("dies", [True, False])
def test_its_room_is_there_for_a_job_that_a_controller_will_start(dies: bool) -> None:
    services = cluster(Holding(dies=dies), is_full=True)
    query = PlacementQuery(
        candidates=(NodeName("a"),), request=Request(needs_python=True), policy=LEAST, rng=random.Random(0)
    )
    assert place_now(services, query).fits is dies
