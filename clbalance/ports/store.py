"""The interfaces of the stores: nodes (`Store`) and jobs (`Journal`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan, Reading, Trend
from clbalance.model.job import JobChanges, OutputRecord, OutputState, Submitted
from clbalance.model.job_record import CopyRecord, Intent, JobRecord, JobState, MigrationRequest, Outcome, Placed
from clbalance.model.node_history import FailureStreak, KeptAnswer, NodeSample, SeriesPoint
from clbalance.ports.choices import Choices
from clbalance.ports.returns import Returns

if TYPE_CHECKING:  # not needed to ask nodes for their load (docs/design/startup.md)
    from clbalance.model.task import Task
    from clbalance.ports.task_logs import TaskLog, WrittenTasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The parts of a reading that rates need: boot id, uptime, counters; and when it was taken. No more is known."""

    at: datetime
    reading: Reading


IndexValues: TypeAlias = Mapping[str, float]
"""The load indices of a node in one sweep, by name."""


class Store(Choices, Protocol):
    """The memory of this submit host about nodes. If it is lost, history is lost, but no job. Errors: `StoreError`."""

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        """The last known reading of each node that has one."""
        ...

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, IndexValues] | None = None,
        past: Mapping[NodeName, NodeSample] | None = None,
        *,
        came_at: Mapping[NodeName, datetime] | None = None,
        answers: Mapping[NodeName, bytes] | None = None,
    ) -> None:
        """Store the last readings, add `samples` for trends, and add `past` to the history.

        `came_at`: when the nodes have answered, if not `at`. Rates are counted from then. `answers`: for
        `last_answers`; of one that is too long, nothing is kept.
        Samples for trends are deleted when the node has booted since, and replaced by a later one in the same slot of
        the ring. History covers all boots.
        """
        ...

    def last_answers(self, nodes: Sequence[NodeName], since: datetime) -> Mapping[NodeName, KeptAnswer]:
        """The last answer of each node that has sent it since then."""
        ...

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime, *, keys: frozenset[str] | None = None
    ) -> Mapping[NodeName, Sequence[SeriesPoint]]:
        """The points of each node that was asked in that time, in order of time. Older points cover longer spans.

        `keys`: the values to read, of nodes and of GPUs; None: all of them.
        """
        ...

    def forecasts(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, bytes]:
        """What is known of the load to come of each node (`policy.forecast.node`). `remember` keeps it up to date."""
        ...

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        """The trends over the day before `at`, for each node and index with samples."""
        ...

    def failure_streaks(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, FailureStreak]:
        """How often in a row each node was silent, has answered, or was over its limit. All 0 for an unknown node."""
        ...

    def save_failure_streaks(self, at: datetime, streaks: Mapping[NodeName, FailureStreak]) -> None:
        """Replace the streaks of these nodes."""
        ...

    def counters(self) -> Mapping[str, float]:
        """Counters and last values of `rebalance`, by name, for `metrics`."""
        ...

    def update_counters(
        self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None
    ) -> None:
        """Add to counters, and set last values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLock:
    """The lock by which a process controls its jobs: its name in their rows, and the open descriptor that holds it."""

    name: str
    fd: int


class Journal(Protocol):
    """The record of this submit host's jobs (docs/design/jobs.md). Writes are on disk when a method returns.

    Many processes use it at once. If it is lost, history is lost, but no running job, and no number is given twice.
    Errors: `StoreError`.
    """

    def submit(
        self,
        at: datetime,
        submitted: Submitted,
        tasks: Sequence[Task] = (),
        *,
        accepted: bool = False,
        stdin: bytes | None = None,
    ) -> int:
        """Record a new job; return its number, which is never used twice. The job is PENDING, and this process is its
        controller. `submitted.job.id` is ignored. `accepted`: as by `accept`. `stdin`: the copy of its standard input
        to keep.
        """
        ...

    def accept(self, job: int) -> None:
        """From now on the job is never dropped: if it has no controller and has not started, it is queued."""
        ...

    def record_launch(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        """Record that these copies are about to be started. False if the job was cancelled or held: start nothing."""
        ...

    def record_slot_launches(self, job: int, *, attempt: int, slots: Mapping[int, Intent], plan: Plan | None) -> bool:
        """As `record_launch`, for further slots of a task job, by claim. `plan`: only with the first slots."""
        ...

    def record_unplaced(self, job: int, *, attempt: int, claim: int, plan: Plan) -> None:
        """Record for `explain` why this attempt was not placed so far. The last call counts."""
        ...

    def started(self, job: int, at: datetime) -> None:
        """Every copy of the current claim runs: the job is RUNNING. A second call does not change the start time."""
        ...

    def correct_start(self, job: int, at: datetime) -> None:
        """Replace the start time of a job that is not over."""
        ...

    def limited(self, job: int, claim: int, node: NodeName, limits: Sequence[str]) -> None:
        """Record for `explain` how the node keeps the limits of one copy, as the node describes it."""
        ...

    def located(self, job: int, claim: int, *, engine_id: str, nodes: Sequence[NodeName]) -> None:
        """Record what the job's batch system says of this claim: its number there, and its nodes by rank.

        No `nodes`: they are not known yet, and what was known stays.
        """
        ...

    def ended(self, job: int, claim: int, outcome: Outcome) -> None:
        """Record how one copy ended. The first call counts. `Lost` is not an end, and is not stored."""
        ...

    def finish(self, job: int, at: datetime, *, attempt: int, state: JobState, reason: str, rc: int) -> bool:
        """Record that the job is over, and release it. For CANCELLED, the reason given to `cancel` counts.

        False, and nothing is written, if the job is over already, if another process controls it, or if another
        attempt has begun.
        """
        ...

    def cancel_unstarted(self, job: int, at: datetime, *, reason: str, rc: int) -> bool:
        """Record that the job was never started and never will be: CANCELLED. If a copy may have been started, only
        release the job, and return False.
        """
        ...

    def keep_results(self, job: int | None, sets: Mapping[str, str]) -> None:
        """Store the folded node sets of a job by result, for other programs (docs/design/groups.md).

        None: of a call that was refused before it had a number.
        """
        ...

    def keep_refusal(self, plan: Plan) -> None:
        """Record for `explain` why a call was refused before it had a number. Only the last one is kept."""
        ...

    def last_refusal(self) -> Plan | None:
        """The plan of the last refused call; None if there is none, or a job was submitted since."""
        ...

    def set_pending_reason(self, job: int, reason: str) -> bool:
        """Record why the job waits (again). False if it was cancelled or is over."""
        ...

    def release(self, job: int) -> None:
        """Give up control of the job. Nothing is written if another process controls it."""
        ...

    def acquire(self, job: int, reason: str, *, attempt: int) -> bool:
        """Take control of a queued job to start it: it gets that reason. Returns whether we control it.

        False if it has a controller, if it is not queued, if it is held, if it was started again since it was read
        (`attempt` is the one that was read), or if a copy has no known end. The claim number is raised far enough above
        the last one recorded.
        """
        ...

    def acquire_again(self, job: int, reason: str, *, attempt: int, at: datetime, accepted: bool) -> bool:
        """The same, also for a job that is over: it is PENDING again. It waits anew for its start since `at`, and may
        begin at once.

        `accepted`: it is queued from now on if its controller dies.
        """
        ...

    def control_fd(self) -> int | None:
        """The descriptor of the lock that makes us a controller; None: we control no job.

        A child process that inherits it counts as the controller until it ends, even if we die before.
        """
        ...

    def hand_over(self) -> JobLock:
        """Leave the control of our jobs to another process that gets this lock. We control them no more."""
        ...

    def cancel(self, job: int, reason: str) -> None:
        """Keep the request to cancel a job that is not over, until it is over or acquired again.

        No further attempt is started: see `record_launch` and `set_pending_reason`. The controller of the job ends the
        running one; without a controller, the next process that reaches its nodes does.
        """
        ...

    def hold(self, job: int, holder: str) -> bool:
        """Hold a pending job until `end_hold`: nobody starts it, see `acquire` and `record_launch`. The first holder
        counts. False, and nothing is written, if the job is not pending, is being started, or is to be cancelled.
        """
        ...

    def end_hold(self, job: int, at: datetime) -> bool:
        """A pending job is not held any more. If it was, `--queue-for` counts anew from `at`. False as in `hold`."""
        ...

    def update(self, job: int, changes: JobChanges) -> bool:
        """Change a pending job. False as in `hold`."""
        ...

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        """Queue the job for `rebalance`, without a controller: PENDING, with that reason.

        A committed migration stays committed until `record_launch`: other readers must know the meaning of the last
        end. False, and nothing is written, in the cases of `finish`, if the job was cancelled, or if a copy of this
        attempt has no known end.
        """
        ...

    def adopt(self, job: int, *, attempt: int) -> bool:
        """Take control of a running job that has no controller. Returns whether we control it now."""
        ...

    def request_migration(self, job: int, order: MigrationRequest) -> bool:
        """Request a migration from the controller of a running job. False if another migration or a cancel is under
        way.
        """
        ...

    def migration_request_of(self, job: int) -> MigrationRequest | None:
        """The migration request since the job's last launch, with its stage; None if there is none."""
        ...

    def commit_migration(self, job: int, order: MigrationRequest) -> bool:
        """As the controller: from now on the end of this attempt means that the job continues elsewhere. Durable.

        False if the job was cancelled, is over, is in another attempt, or is controlled by another process.
        """
        ...

    def abort_migration(self, job: int, *, attempt: int, reason: str, unless_committed: bool = False) -> bool:
        """Abort the migration; with `unless_committed` only if it is not committed. Returns whether it was aborted."""
        ...

    def cancel_requests(self) -> tuple[JobRecord, ...]:
        """The jobs that are to be cancelled, are not known to be over, and have no controller."""
        ...

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        """The newest jobs, oldest first. With `over`, also jobs that are over."""
        ...

    def record(self, job: int) -> JobRecord | None:
        """One job; None if there is no such number."""
        ...

    def copies(self, job: int) -> tuple[CopyRecord, ...]:
        """The copies of all attempts, ordered by claim and rank."""
        ...

    def submitted(self, job: int) -> Submitted | None:
        """The job as submitted; a script comes without its content. None if there is no such number."""
        ...

    def script(self, job: int) -> bytes | None:
        """The content of the job's script; None if it has none."""
        ...

    def stdin(self, job: int) -> bytes | None:
        """The copy of the job's standard input; None if none was kept."""
        ...

    def tasks(self, job: int) -> tuple[Task, ...]:
        """The tasks of a task job, in order; empty for other jobs."""
        ...

    def task_log(self, job: int) -> TaskLog:
        """The log of the job's tasks."""
        ...

    def outputs(self, *, pending: bool = False) -> tuple[OutputRecord, ...]:
        """The state of the output files of each attempt, for jobs that have any. `pending`: only incomplete ones."""
        ...

    def set_output(self, job: int, attempt: int, state: OutputState, reason: str = "") -> None:
        """Record the state of the output files of an attempt."""
        ...

    def output_lock(self) -> AbstractContextManager[bool]:
        """Try to lock the completion of output files, without waiting. The context yields whether that worked."""
        ...

    def written_tasks(self, job: int) -> WrittenTasks:
        """The tasks whose whole output is in the job's files."""
        ...

    def returns(self) -> Returns:
        """The results that are returned from nodes."""
        ...

    def placed(self, job: int) -> tuple[Placed, ...]:
        """The plan of each attempt. Of long lists only the first hundred nodes are stored."""
        ...
