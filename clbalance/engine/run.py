"""The whole of `clbalance run` in one sentence: try to place the job until it fits, and again while it asks for it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clbalance.engine.attempt import Attempted, Course, attempt
from clbalance.engine.dispatched import Dispatched
from clbalance.engine.exit_code import run_exit_code
from clbalance.engine.world import World
from clbalance.errors import ExitCode, Interrupted, NotRunError, StoreError
from clbalance.job import JobSpec, JobState, Outcome, Tries
from clbalance.model import NodeName, Plan
from clbalance.nodes import fold
from clbalance.policy.again import Again, again
from clbalance.policy.histogram import why_not
from clbalance.policy.verdict import gravest, state_of, why_ended

_ASK_AGAIN_S = (2.0, 15.0)  # between two sweeps of a waiting job: at first, and at most
_ASK_SLOWER = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Where a job went last and how it ended; `dispatched` is None when it was not started at all."""

    job: JobSpec
    plan: Plan
    dispatched: Dispatched | None
    cancelled: bool = False


class Run:
    """One job in our hands, from its first attempt to its last."""

    def __init__(self, course: Course, job: JobSpec, tries: Tries, avoid: frozenset[NodeName] = frozenset()) -> None:
        self._course = course
        self._world = course.world
        self._question = course.question
        self._job = job
        self._tries = tries
        self._avoid = avoid
        self._failures = 0
        self._node_failures = 0

    def carry_out(self) -> Ran:
        """As far as we are interested in it."""
        try:
            if self._tries.after and (why := self._hindrance()):
                self._withdraw(why)
                raise NotRunError(f"job {self._job.id} is not started: {why}")
            while True:
                tried = self._wait_for_place()
                once_more = None if tried.dispatched is None else self._again(tried.dispatched)
                if once_more is None:
                    return self._conclude(tried)
                if not self._prepare(tried, once_more):
                    return self._conclude(replace(tried, dispatched=None, cancelled=True))
        except Interrupted as stop:
            self._withdraw(f"stopped by signal {stop.signum}")
            raise
        except BrokenPipeError:
            self._withdraw("nobody read what it had to say")
            raise

    def _hindrance(self) -> str:
        from clbalance.engine.after import hindrance

        self._pend(f"after job {', '.join(map(str, self._tries.after))}")
        return hindrance(self._world, self._tries)

    def _wait_for_place(self) -> Attempted:
        """The first attempt that was placed; the last one where nothing fits for as long as it may wait."""
        clock = self._world.clock
        until = clock.monotonic() + (self._tries.queue_for_s or 0.0)
        pause_s, most_s = _ASK_AGAIN_S
        while True:
            tried = attempt(self._course, self._job, self._avoid)
            self._job = tried.job
            left_s = until - clock.monotonic()
            if tried.plan.fits or left_s <= 0:
                return tried
            if not self._pend(why_not(tried.plan, len(self._question.candidates))):
                return replace(tried, cancelled=True)
            clock.pause(min(left_s, pause_s * (0.5 + self._question.rng.random())))
            pause_s = min(pause_s * _ASK_SLOWER, most_s)

    def _again(self, dispatched: Dispatched) -> Again | None:
        if dispatched.interrupted is not None:
            return None
        outcomes = dispatched.outcomes
        return again(self._tries, outcomes, failures=self._failures, node_failures=self._node_failures)

    def _prepare(self, tried: Attempted, once_more: Again) -> bool:
        outcomes = () if tried.dispatched is None else tried.dispatched.outcomes
        states = {state_of(outcome.end) for outcome in outcomes}
        self._failures += JobState.FAILED in states
        self._node_failures += JobState.NODE_FAIL in states
        self._avoid |= once_more.avoid
        self._job = replace(
            tried.job,
            attempt=tried.job.attempt + 1,
            claim=tried.job.claim + 1,
            previous_nodes=fold(tried.plan.chosen),
        )
        return self._pend(f"attempt {self._job.attempt}: {once_more.reason}")

    def _pend(self, reason: str) -> bool:
        """Say why it waits; False where it was cancelled meanwhile."""
        self._course.listener.waiting(reason)
        return self._world.journal.pend(self._job.id, reason)

    def _conclude(self, tried: Attempted) -> Ran:
        if tried.dispatched is None:
            reason = "cancelled" if tried.cancelled else why_not(tried.plan, len(self._question.candidates))
            self._withdraw(reason)
        elif len(tried.dispatched.outcomes) == len(tried.plan.chosen):
            conclude(self._world, self._job.id, tried.dispatched.outcomes)
        else:
            self._world.journal.let_go(self._job.id)
        return Ran(job=tried.job, plan=tried.plan, dispatched=tried.dispatched, cancelled=tried.cancelled)

    def _withdraw(self, reason: str) -> None:
        """It was not started, and will not be."""
        code = ExitCode.NOT_RUN_TO_ITS_END
        now = self._world.clock.now()
        try:
            self._world.journal.conclude(self._job.id, now, state=JobState.CANCELLED, reason=reason, rc=code)
        except StoreError as error:
            self._world.listener.forgot(error.message)


def conclude(world: World, job: int, outcomes: tuple[Outcome, ...]) -> None:
    """Write down how a job has ended, of which every copy has; one that may still run somewhere is only let go."""
    worst = gravest(outcomes)
    try:
        if worst is None or state_of(worst.end) is JobState.RUNNING:
            world.journal.let_go(job)
        else:
            state, reason = state_of(worst.end), why_ended(worst)
            at = _ended_at(world, job, outcomes)
            world.journal.conclude(job, at, state=state, reason=reason, rc=run_exit_code(outcomes))
    except StoreError as error:
        world.listener.forgot(error.message)


def _ended_at(world: World, job: int, outcomes: tuple[Outcome, ...]) -> datetime:
    """When its last copy ended; by the node's count, for it may have been long ago."""
    now = world.clock.now()
    record = world.journal.record(job)
    if record is None or record.started_at is None:
        return now
    return min(now, record.started_at + timedelta(seconds=max(outcome.seconds for outcome in outcomes)))
