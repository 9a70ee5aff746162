"""A job that is held, or whose begin time has not come, is started by nobody, whoever has it and whenever that happens."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from clbalance.engine.agent.copies import FOREGROUND, SUPERVISED, FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.submitted import await_ends, next_attempt
from clbalance.engine.rebalance import decide
from clbalance.engine.run.run import Run
from clbalance.engine.run.start_pending import start_pending
from clbalance.engine.run.start_queued import NotAcquired, StillQueued, SubmittedInputs
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import NodeName, Request
from clbalance.model.job import JobChanges, RestartPolicy, Submitted, TaskRules
from clbalance.model.job_record import JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.placement.policies import LEAST
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.engine.services import EPOCH, ScriptedAgent, TransportClock, job, probed, world_of
from tests.engine.tasks.test_accepted import control as control_tasks
from tests.engine.tasks.test_accepted import full_after, killed
from tests.engine.tasks.test_accepted import submitted as submitted_tasks
from tests.engine.test_rebalance import aim
from tests.scripted import ScriptedTransport

from .test_run import Input
from .test_start_pending import query_of
from .test_start_queued import nodes, now, start

Deed = Callable[[], object]
WAITS_AT_MOST_S = 100_000.0


@dataclass
class Alarm(TransportClock):
    """A clock at which things happen, and that can be set."""

    deeds: list[tuple[float, Deed]] = field(default_factory=list)
    set_by_s: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.set_by_s)

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        assert self.monotonic() < WAITS_AT_MOST_S, "it waits for ever"
        for at, deed in [one for one in self.deeds if one[0] <= self.monotonic()]:
            self.deeds.remove((at, deed))
            deed()

    def set(self, by_s: float) -> None:
        self.set_by_s += by_s


class Racing(InMemoryJournal):
    """Something else happens just before or after a launch is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.just_before: list[Deed] = []
        self.just_after: list[Deed] = []

    def record_launch(self, *args: Any, **kwargs: Any) -> bool:
        with self._race():
            return super().record_launch(*args, **kwargs)

    def record_slot_launches(self, *args: Any, **kwargs: Any) -> bool:
        with self._race():
            return super().record_slot_launches(*args, **kwargs)

    @contextmanager
    def _race(self) -> Iterator[None]:
        if self.just_before:
            self.just_before.pop()()
        yield
        if self.just_after:
            self.just_after.pop()()


@dataclass
class World:
    """One node, its agent, a journal and a clock."""

    agent: ScriptedAgent = field(default_factory=ScriptedAgent)
    journal: Racing = field(default_factory=Racing)

    def __post_init__(self) -> None:
        within = {"answer_within_s": 3.0, "step_within_s": 3.0}
        plain = world_of({"a": probed(after=self.agent)}, journal=self.journal, **within)
        assert isinstance(plain.transport, ScriptedTransport)
        self.clock = Alarm(transport=plain.transport)
        self.services = replace(plain, clock=self.clock)

    def submit(self, begin_s: float | None = None, restart_policy: RestartPolicy | None = None) -> int:
        begin_at_s = None if begin_s is None else EPOCH.timestamp() + begin_s
        asked = Submitted(
            job=job(),
            request=Request(needs_python=True),
            candidates=nodes(self.services),
            restart_policy=restart_policy or RestartPolicy(),
            begin_at_s=begin_at_s,
        )
        return self.journal.submit(EPOCH, asked, accepted=True)

    def queue(self, begin_s: float | None = None) -> int:
        number = self.submit(begin_s)
        assert self.journal.queue(number, attempt=1, reason="0/1 nodes fit")
        return number

    def at(self, second: float, deed: Deed) -> None:
        self.clock.deeds.append((second, deed))

    def release(self, number: int) -> object:
        return self.journal.end_hold(number, self.clock.now())

    def control(self, number: int, mode: FollowMode = SUPERVISED, *, queued: bool = True) -> RunResult:
        """As its controller, or as `run` in the foreground."""
        asked = self.journal.submitted(number)
        assert asked is not None
        query = PlacementQuery(candidates=asked.candidates, request=asked.request, policy=LEAST, rng=random.Random(0))
        context = RunContext(services=self.services, query=query, stdin=Input(), listener=NullListener(), mode=mode)
        job_spec = next_attempt(self.services, now(self.services, number))
        return Run(context, job_spec, asked.restart_policy, queued=queued).carry_out()

    def sent(self, op: str) -> list[dict[str, Any]]:
        return [request for request in self.agent.heard if request["op"] == op]

    def state(self, number: int) -> JobState:
        return now(self.services, number).state


both = pytest.mark.parametrize(("mode", "queued"), [(SUPERVISED, True), (FOREGROUND, False)], ids=["detached", "here"])


@both
def test_a_job_is_started_at_its_begin_time_and_no_node_is_asked_before(mode: FollowMode, queued: bool) -> None:
    world = World()
    number = world.submit(begin_s=3600.0)
    seen: list[int] = []
    world.at(3590.0, lambda: seen.append(len(world.agent.heard)))
    world.control(number, mode, queued=queued)
    assert seen == [0]
    assert world.state(number) is JobState.COMPLETED
    assert 3600.0 <= world.clock.monotonic() < 3605.0


@both
def test_a_held_job_waits_for_its_release(mode: FollowMode, queued: bool) -> None:
    world = World()
    number = world.submit()
    world.journal.hold(number, "ann")
    world.at(1000.0, lambda: world.release(number))
    world.control(number, mode, queued=queued)
    assert world.state(number) is JobState.COMPLETED
    assert world.clock.monotonic() >= 1000.0


@both
def test_a_hold_at_the_moment_of_the_start_wins_and_no_claim_is_used_twice(mode: FollowMode, queued: bool) -> None:
    world = World()
    number = world.submit()
    world.journal.just_before.append(lambda: world.journal.hold(number, "ann"))
    seen: list[int] = []
    world.at(500.0, lambda: seen.append(len(world.sent("start"))))
    world.at(1000.0, lambda: world.release(number))
    world.control(number, mode, queued=queued)
    assert seen == [0]
    assert world.state(number) is JobState.COMPLETED
    claims = [request["job"] for request in world.sent("claim")]
    assert len(set(claims)) == len(claims) == 2


def test_what_waits_for_room_is_held_too_and_its_limit_begins_anew_with_its_release() -> None:
    world = World()
    world.services.transport.nodes[NodeName("a")] = probed(load=50.0)  # type: ignore[attr-defined]  # it is a scripted one
    number = world.submit(restart_policy=RestartPolicy(queue_for_s=60.0))
    world.at(30.0, lambda: world.journal.hold(number, "ann"))
    world.at(500.0, lambda: world.release(number))
    world.control(number)
    assert world.state(number) is JobState.CANCELLED
    assert 560.0 <= world.clock.monotonic() < 600.0


def test_the_clock_on_the_wall_counts_also_if_it_is_set() -> None:
    for step_s, elapsed_s in ((3000.0, 600.0), (-3000.0, 6600.0)):
        world = World()
        number = world.submit(begin_s=3600.0)
        world.at(100.0, lambda by_s=step_s, world=world: world.clock.set(by_s))  # type: ignore[misc]
        world.control(number)
        assert world.state(number) is JobState.COMPLETED
        assert elapsed_s <= world.clock.monotonic() < elapsed_s + 10.0


@pytest.mark.parametrize("begin_s", [None, 3600.0])
def test_what_is_kept_back_can_be_cancelled(begin_s: float | None) -> None:
    world = World()
    number = world.submit(begin_s)
    if begin_s is None:
        world.journal.hold(number, "ann")
    world.at(100.0, lambda: world.journal.cancel(number, "cancelled by ann"))
    world.control(number)
    assert (world.state(number), now(world.services, number).reason) == (JobState.CANCELLED, "cancelled by ann")
    assert world.sent("start") == []


def test_an_update_counts_until_the_launch_is_recorded() -> None:
    world = World()
    number = world.submit(begin_s=3600.0)
    world.at(100.0, lambda: world.journal.update(number, JobChanges(time_limit_s=60.0, name="second")))
    world.journal.just_before.append(lambda: world.journal.update(number, JobChanges(time_limit_s=90.0)))
    world.control(number)
    (ordered,) = world.sent("start")
    assert ordered["spec"]["time_limit_s"] == 90.0
    assert ordered["spec"]["env"]["CLBALANCE_JOB_NAME"] == "second"


def test_what_another_process_starts_from_the_queue_returns_to_it_when_it_is_held_meanwhile() -> None:
    world = World()
    number = world.queue()
    world.journal.just_before.append(lambda: world.journal.hold(number, "ann"))
    assert start(world.services, now(world.services, number)) == StillQueued(reason="held by ann")
    assert is_queued(now(world.services, number))
    assert isinstance(start(world.services, now(world.services, number)), NotAcquired)
    world.release(number)
    start(world.services, now(world.services, number))
    assert world.state(number) is JobState.RUNNING


@both
def test_a_hold_that_ends_before_it_is_noticed_cancels_nothing(mode: FollowMode, queued: bool) -> None:
    world = World()
    number = world.submit()
    world.journal.just_before.append(lambda: world.journal.hold(number, "ann"))
    world.journal.just_after.append(lambda: world.release(number))
    world.control(number, mode, queued=queued)
    assert world.state(number) is JobState.COMPLETED


def test_a_queued_job_whose_hold_ends_before_it_is_noticed_stays_in_the_queue() -> None:
    world = World()
    number = world.queue()
    world.journal.just_before.append(lambda: world.journal.hold(number, "ann"))
    world.journal.just_after.append(lambda: world.release(number))
    assert isinstance(start(world.services, now(world.services, number)), StillQueued)
    assert is_queued(now(world.services, number))


@pytest.mark.parametrize("begin_s", [None, 3600.0])
def test_rebalance_starts_neither_a_held_job_nor_one_before_its_time_and_says_why(begin_s: float | None) -> None:
    world = World()
    kept, other = world.queue(begin_s), world.queue()
    if begin_s is None:
        world.journal.hold(kept, "ann")
    chosen = decide(world.services, aim(), counts=False).chosen
    assert [job for job, _ in chosen.starts] == [other]
    assert chosen.waits[kept].startswith("held by ann" if begin_s is None else "not before ")
    world.release(kept)
    world.clock.pause(3600.0)
    assert kept in [job for job, _ in decide(world.services, aim(), counts=False).chosen.starts]


def test_a_process_that_waits_starts_a_held_job_only_after_its_release() -> None:
    world = World()
    number = world.queue()
    world.journal.hold(number, "ann")
    calls: list[float] = []

    def start_them(services: Services, jobs: Any) -> None:
        calls.append(services.clock.monotonic())
        inputs = SubmittedInputs(query_of=query_of, input_of=lambda *_: Input(), control=lambda _: False)
        start_pending(services, jobs, inputs, lambda _: LEAST, random.Random(0))

    world.at(300.0, lambda: world.release(number))
    waiting = replace(world.services, start_queued=start_them)
    (ended,) = await_ends(waiting, [now(world.services, number)])
    assert ended.record.state is JobState.COMPLETED
    assert calls[0] >= 300.0, "no node is asked for nothing"


def test_a_job_of_tasks_that_is_held_at_the_moment_of_its_start_is_started_after_its_release() -> None:
    world = World(agent=ScriptedAgent(rules={"admit": full_after(2), "follow": killed}))
    number = submitted_tasks(world.services, RestartPolicy(), TaskRules(at_once=1))
    world.journal.just_before.append(lambda: world.journal.hold(number, "ann"))
    seen: list[int] = []
    world.at(500.0, lambda: seen.append(len(world.sent("start"))))
    world.at(1000.0, lambda: world.release(number))
    control_tasks(world.services, number)
    assert seen == [0]
    claims = [request["job"] for request in world.sent("claim")]
    assert len(set(claims)) == len(claims)
    assert len(world.sent("start")) == 1
    assert now(world.services, number).reason.endswith("; 2 tasks left"), "the hold has cost none"
