"""One run of `rebalance`: the order of its steps, and how the jobs stand wherever it ends."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import pytest

from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.migrate.requested import Migrated, MigrationResult, NotMigrated
from clbalance.engine.rebalance import RebalanceDecision, RebalanceRequest, carry_out, decide
from clbalance.engine.rebalance_facts import NodePool, ReconciledJob
from clbalance.engine.run.start_queued import JobStarted, QueuedStart, StillQueued, SubmittedInputs
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import Interrupted, NoAnswerError, UsageError
from clbalance.model import NodeName, Request
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.model.job_record import JobRecord, JobState, MigrationRequest
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.rebalance.values import BalanceSettings, PlannedMigration
from clbalance.ports import InputOf, JobInput, Journal
from tests.engine.run.test_run import Input
from tests.scripted import HangUp, Later

from .services import EPOCH, ScriptedAgent, job, probed, world_of

A, B = NodeName("a"), NodeName("b")
POOL = NodePool(name="pool", nodes=(A, B), policy=LEAST)
QUEUE, REQUEUE = RestartPolicy(queue=True), RestartPolicy(queue=True, requeue=True)


def aim() -> RebalanceRequest:
    return RebalanceRequest(
        nodes=(A, B),
        pools=[POOL],
        settings=BalanceSettings(confirm=1),
        policy_of=lambda _: LEAST,
        rng=Random(1),
        uid=1000,
    )


def query_of(submitted: Submitted) -> PlacementQuery:
    return PlacementQuery(candidates=submitted.candidates, request=submitted.request, policy=LEAST, rng=Random(1))


def brought(input_of: InputOf = lambda _journal, _job, _one: Input()) -> SubmittedInputs:
    return SubmittedInputs(query_of=query_of, input_of=input_of, control=lambda _: False)


class Holding(ScriptedAgent):
    """Its job runs until it is ended, and tells why it was."""

    def usual(self, op: str, request: dict[str, object]) -> list[dict[str, object]]:
        if op == "follow":
            return []
        if op == "end":
            end = {"kind": "cancelled", "why": request["why"]}
            return [{"ev": "ended", "job": request["job"], "end": end, "seconds": 9.0}]
        return super().usual(op, request)


@dataclass
class Heard:
    """Notes each deed, and how the job of it stood at that moment; goes away at the deed `hangs_up_at`."""

    services: Services
    actions: list[tuple[str, int, str]] = field(default_factory=list)
    ends: list[QueuedStart | MigrationResult] = field(default_factory=list)
    hangs_up_at: str = ""

    def reconciled(self, one: ReconciledJob) -> None:
        self._note("settled", one.now.id)

    def gave_up(self, record: JobRecord, reason: str) -> None:
        del reason
        self._note("gave up", record.id)

    def started(self, record: JobRecord, came: QueuedStart) -> None:
        self.ends.append(came)
        self._note("started", record.id)

    def migrated(self, move: PlannedMigration, end: MigrationResult) -> None:
        self.ends.append(end)
        self._note("moved", move.job)

    def done(self) -> None:
        self.actions.append(("done", 0, ""))

    def _note(self, what: str, number: int) -> None:
        self.actions.append((what, number, str(now(self.services, number).state)))
        if what == self.hangs_up_at:
            raise BrokenPipeError


def now(services: Services, number: int) -> JobRecord:
    record = services.journal.record(number)
    assert record is not None
    return record


def submitted(services: Services, restart_policy: RestartPolicy = QUEUE, *nodes: NodeName) -> int:
    spec = job(key=f"{len(services.journal.records(over=True)):032x}")
    request = Request(needs_python=True)
    return services.journal.submit(
        EPOCH, Submitted(job=spec, request=request, candidates=nodes or (A, B), restart_policy=restart_policy)
    )


def waiting(services: Services, restart_policy: RestartPolicy = QUEUE, *nodes: NodeName) -> int:
    """A job that was accepted when nothing fitted."""
    number = submitted(services, restart_policy, *nodes)
    assert services.journal.queue(number, attempt=1, reason="0/2 nodes fit")
    return number


def never(services: Services) -> int:
    """A job whose turn cannot come any more."""
    failed = submitted(services)
    ended_at = EPOCH - timedelta(days=1)
    assert services.journal.finish(failed, ended_at, attempt=1, state=JobState.FAILED, reason="", rc=1)
    return waiting(services, RestartPolicy(queue=True, after=(failed,)))


def running_on_a(services: Services, restart_policy: RestartPolicy = REQUEUE) -> int:
    """A job that nobody has in hand; it may go to `b`."""
    number = waiting(services, restart_policy)
    chosen = decide(services, aim(), counts=False)
    at_a = replace(chosen, chosen=replace(chosen.chosen, starts=((number, (A,)),)))
    carry_out(services, at_a, brought(), Heard(services))
    assert (now(services, number).nodes, now(services, number).has_controller) == ((A,), False)
    return number


def with_move(decision: RebalanceDecision, number: int) -> RebalanceDecision:
    """The same, and that job goes from `a` to `b`."""
    (one,) = decision.plans
    move = PlannedMigration(job=number, name="train", src=A, dst=B, gain=0.5, reason="a is over")
    return replace(decision, plans=(replace(one, plan=replace(one.plan, migrations=(move,))),))


def cluster(a: ScriptedAgent | None = None, **changes: object) -> Services:
    return world_of({"a": probed(after=a or Holding()), "b": probed(after=ScriptedAgent())}, **changes)


def test_jobs_are_given_up_started_and_moved_in_that_order_and_each_is_told_when_it_is_done() -> None:
    services = cluster()
    goes = running_on_a(services)
    hopeless, starts = never(services), waiting(services)
    heard = Heard(services)
    carry_out(services, with_move(decide(services, aim(), counts=True), goes), brought(), heard)
    assert heard.actions == [
        ("gave up", hopeless, "CANCELLED"),
        ("started", starts, "RUNNING"),
        ("moved", goes, "RUNNING"),
        ("done", 0, ""),
    ]
    assert heard.ends[-1] == Migrated(node=B)
    assert (now(services, goes).attempt, now(services, goes).nodes) == (2, (B,))
    assert not any(record.has_controller for record in services.journal.records())


def test_what_was_found_out_is_told_before_anything_is_done() -> None:
    services = cluster(
        ScriptedAgent(rules={"settle": lambda one: [{"ev": "settled", "job": one["job"], "state": "gone"}]})
    )
    gone = running_on_a(services, RestartPolicy(requeue=True))
    heard = Heard(services)
    carry_out(services, decide(services, aim(), counts=True), brought(), heard)
    assert heard.actions == [("settled", gone, "PENDING"), ("started", gone, "RUNNING"), ("done", 0, "")]
    assert now(services, gone).attempt == 2


@pytest.mark.parametrize(("load_of_b", "goes_to"), [(0.9, B), (9.0, A)])
def test_a_job_whose_move_was_cut_short_is_started_elsewhere_while_that_fits(load_of_b: float, goes_to: str) -> None:
    """Though the node that it was to leave is the least loaded one."""
    moved = ScriptedAgent(end={"kind": "cancelled", "why": "moved to b: level"})
    services = world_of({"a": probed(0.1, after=moved), "b": probed(load_of_b, after=ScriptedAgent())})
    number = running_on_a(services)
    assert services.journal.commit_migration(number, MigrationRequest(attempt=1, dst=B, reason="level"))
    heard = Heard(services)
    carry_out(services, decide(services, aim(), counts=True), brought(), heard)
    assert heard.actions == [("settled", number, "PENDING"), ("started", number, "RUNNING"), ("done", 0, "")]
    assert (now(services, number).attempt, now(services, number).nodes) == (2, (goes_to,))


def test_where_there_is_nothing_to_do_nothing_is_told_and_the_run_counts() -> None:
    services = cluster()
    heard = Heard(services)
    carry_out(services, decide(services, aim(), counts=True), brought(), heard)
    assert heard.actions == [("done", 0, "")]


def test_to_decide_changes_nothing_for_a_job_that_waits_or_runs() -> None:
    services = cluster()
    runs, waits = running_on_a(services), waiting(services)
    before = services.journal.records()
    first = decide(services, aim(), counts=False)
    assert [number for number, _ in first.chosen.starts] == [waits]
    assert services.journal.records() == before
    assert decide(services, aim(), counts=False).chosen == first.chosen, "the same from the same facts"
    assert now(services, runs).attempt == 1


def test_without_an_answer_nothing_is_decided() -> None:
    services = world_of({"a": lambda _: [], "b": lambda _: []})
    waits = waiting(services)
    with pytest.raises(NoAnswerError, match="no node has answered"):
        decide(services, aim(), counts=True)
    assert is_queued(now(services, waits))


def test_why_a_job_waits_on_is_known_anew_only_where_its_own_nodes_were_asked() -> None:
    services = world_of({"a": probed(9.0, after=Holding()), "b": probed(9.0, after=Holding())})
    ours, others = waiting(services), waiting(services, QUEUE, NodeName("c"))
    carry_out(services, decide(services, aim(), counts=True), brought(), Heard(services))
    assert now(services, ours).reason == "0/2 nodes fit: 2 load above 1.00"
    assert now(services, others).reason == "0/2 nodes fit"
    assert is_queued(now(services, ours))


def test_who_has_started_jobs_for_two_minutes_leaves_the_others_to_the_next_run() -> None:
    def slow(point: str) -> None:
        if point == "taken":
            services.clock.pause(121.0)

    services = cluster(fail_point=slow)
    first, second = waiting(services), waiting(services)
    heard = Heard(services)
    carry_out(services, decide(services, aim(), counts=True), brought(), heard)
    assert heard.actions == [("started", first, "RUNNING"), ("done", 0, "")]
    assert is_queued(now(services, second))
    carry_out(services, decide(services, aim(), counts=True), brought(), heard)
    assert now(services, second).state is JobState.RUNNING


def test_one_whose_input_has_gone_keeps_nobody_from_starting() -> None:
    services = cluster()
    without, starts = waiting(services), waiting(services)

    def input_of(_journal: Journal, _job: int, one: Submitted) -> JobInput:
        if one.job.key == now(services, without).key:
            raise UsageError("`--stdin x`: No such file or directory")
        return Input()

    heard = Heard(services)
    carry_out(services, decide(services, aim(), counts=True), brought(input_of), heard)
    reason = "`--stdin x`: No such file or directory"
    assert heard.ends[0] == StillQueued(reason=reason, failed=True)
    assert isinstance(heard.ends[1], JobStarted)
    assert (now(services, without).reason, is_queued(now(services, without))) == (reason, True)
    assert now(services, starts).state is JobState.RUNNING


def test_told_to_stop_between_two_starts_it_leaves_the_second_queued_and_moves_nothing() -> None:
    reserved: list[str] = []

    def stopped(point: str) -> None:
        reserved.extend([point] if point == "reserved" else [])
        if len(reserved) == 3 and point == "reserved":  # the first was that of the job that runs
            raise Interrupted(15)

    services = cluster(fail_point=stopped)
    goes = running_on_a(services)
    first, second = waiting(services), waiting(services)
    decision, heard = with_move(decide(services, aim(), counts=True), goes), Heard(services)
    with pytest.raises(Interrupted):
        carry_out(services, decision, brought(), heard)
    assert heard.actions == [("started", first, "RUNNING")]
    assert is_queued(now(services, second))
    assert (now(services, goes).attempt, now(services, goes).nodes) == (1, (A,))


def test_where_nobody_reads_on_nothing_more_is_done_and_nothing_is_lost() -> None:
    services = cluster()
    goes = running_on_a(services)
    first, second = waiting(services), waiting(services)
    decision, heard = with_move(decide(services, aim(), counts=True), goes), Heard(services, hangs_up_at="started")
    with pytest.raises(BrokenPipeError):
        carry_out(services, decision, brought(), heard)
    assert now(services, first).state is JobState.RUNNING
    assert is_queued(now(services, second))
    assert (now(services, goes).state, now(services, goes).attempt) == (JobState.RUNNING, 1)


def test_a_job_that_was_cancelled_since_the_plan_was_made_is_neither_started_nor_moved() -> None:
    services = cluster()
    goes = running_on_a(services)
    waits = waiting(services)
    decision, heard = with_move(decide(services, aim(), counts=True), goes), Heard(services)
    services.journal.cancel(waits, "cancelled by u")
    assert services.journal.finish(goes, EPOCH, attempt=1, state=JobState.CANCELLED, reason="cancelled by u", rc=125)
    carry_out(services, decision, brought(), heard)
    assert heard.ends[-1] == NotMigrated(reason="it is CANCELLED on a by now")
    assert not any(isinstance(end, JobStarted) for end in heard.ends)
    assert now(services, waits).state is not JobState.RUNNING


@dataclass
class Failing(Holding):
    """Its job runs until `fails` is set, or until it is told to end, and then exits with 1."""

    fails: bool = False

    def usual(self, op: str, request: dict[str, object]) -> list[dict[str, object]]:
        self.fails = self.fails or op == "end"
        if op == "end" or (op == "follow" and self.fails):
            end = {"kind": "exited", "rc": 1}
            return [{"ev": "ended", "job": request["job"], "end": end, "seconds": 9.0}]
        return super().usual(op, request)


@pytest.mark.parametrize(("retry", "state"), [(2, JobState.PENDING), (1, JobState.FAILED)])
def test_a_job_that_fails_while_it_is_to_move_is_queued_again_as_often_as_it_may(retry: int, state: JobState) -> None:
    """Its `run` is gone, and no node has room now. Its first attempt has failed as well."""
    agent = Failing()

    def node(text: bytes) -> list[bytes | HangUp | Later]:
        return list(probed(9.0 if agent.fails else 0.5, after=agent)(text))

    services = world_of({"a": node, "b": node})
    number = running_on_a(services, RestartPolicy(requeue=True, retry=retry))
    agent.fails = True
    refresh(services, [now(services, number)])
    assert is_queued(now(services, number)), "after its first failure"
    agent.fails = False
    carry_out(services, decide(services, aim(), counts=False), brought(), Heard(services))
    assert (now(services, number).attempt, now(services, number).state) == (2, JobState.RUNNING)
    decision = decide(services, aim(), counts=True)
    source, target = now(services, number).nodes[0], A if now(services, number).nodes == (B,) else B
    (one,) = decision.plans
    move = PlannedMigration(job=number, name="train", src=source, dst=target, gain=0.5, reason="level")
    decision = replace(decision, plans=(replace(one, plan=replace(one.plan, migrations=(move,))),))
    carry_out(services, decision, brought(), Heard(services))
    after = now(services, number)
    assert (after.state, after.queued, after.has_controller) == (state, state is JobState.PENDING, False)
