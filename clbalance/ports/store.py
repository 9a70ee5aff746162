"""What is remembered: of nodes, of jobs and of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan, Reading, Trend
from clbalance.model.job import OutputRecord, OutputState, Submitted
from clbalance.model.job_record import CopyRecord, Intent, JobRecord, JobState, MigrationRequest, Outcome, Placed
from clbalance.model.node_history import FailureStreak, NodeSample, SeriesPoint

if TYPE_CHECKING:  # what asks nodes for their load need not import what tasks are (docs/design/startup.md)
    from clbalance.model.task import Task, TaskEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What differences need of a reading, and the time when it was taken.

    That is its boot_id, uptime and counters; every other section is `Unknown`.
    """

    at: datetime
    reading: Reading


IndexValues: TypeAlias = Mapping[str, float]
"""Numbers of one look at a node, by the names of its indices."""


class Store(Protocol):
    """What this submit host remembers; losing it loses history, never a job."""

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        """The last known reading of each node that has one."""
        ...

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, IndexValues] | None = None,
        past: Mapping[NodeName, NodeSample] | None = None,
    ) -> None:
        """Keep these as the last known, and `samples` as one more look at their nodes; `past` is added to history.

        Looks at an earlier boot of a node are forgotten then; so are those of the same minute but the last.
        History is of all boots.
        """
        ...

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, Sequence[SeriesPoint]]:
        """Of each of them that was asked in that time, in its order: the older, the longer the spans."""
        ...

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        """What the looks of the day before `at` come to, of each node and index of which there are any."""
        ...

    def failure_streaks(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, FailureStreak]:
        """How often in a row each of them was silent, has answered, or was over; all 0 of one never looked at."""
        ...

    def save_failure_streaks(self, at: datetime, streaks: Mapping[NodeName, FailureStreak]) -> None:
        """In the place of what was kept of these nodes."""
        ...

    def counters(self) -> Mapping[str, float]:
        """Counters and last values of `rebalance`, by name, for `metrics`."""
        ...

    def update_counters(
        self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None
    ) -> None:
        """Add to counters, and set last values."""
        ...


# What is remembered of jobs and of tasks.


class Journal(Protocol):
    """What this submit host remembers of its jobs (docs/design/jobs.md). What has returned is on the disk.

    Many processes use it at once. Losing it loses numbers and history, never a job.
    """

    def submit(self, at: datetime, submitted: Submitted, tasks: Sequence[Task] = ()) -> int:
        """A number never given before; the job is PENDING, and ours. `submitted.job.id` is not read."""
        ...

    def record_launch(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        """These copies are going to be started. False where the job was cancelled meanwhile: start nothing."""
        ...

    def record_slot_launches(self, job: int, *, attempt: int, slots: Mapping[int, Intent], plan: Plan | None) -> bool:
        """As `record_launch`, of further slots of a job of tasks, by their claims; `plan` with the first of them."""
        ...

    def record_unplaced(self, job: int, *, attempt: int, claim: int, plan: Plan) -> None:
        """Of this attempt nothing has come so far, and that is why; for `explain`. Said again, the last word counts."""
        ...

    def started(self, job: int, at: datetime) -> None:
        """Every copy of the current claim runs: the job is RUNNING. Said again, the first time stays."""
        ...

    def limited(self, job: int, claim: int, node: NodeName, limits: Sequence[str]) -> None:
        """By what its node keeps the limits of one copy, in the node's words; for `explain`."""
        ...

    def ended(self, job: int, claim: int, outcome: Outcome) -> None:
        """How one copy ended; the first word counts. `Lost` is no end, and is not kept."""
        ...

    def finish(self, job: int, at: datetime, *, attempt: int, state: JobState, reason: str, rc: int) -> bool:
        """The job is over and in nobody's hands; the first word counts. For CANCELLED, `cancel` knows the reason.

        False, and nothing is written, where it is over already, where another process has it in hand, or where
        another attempt has begun: what was found out of this one comes too late.
        """
        ...

    def cancel_unstarted(self, job: int, at: datetime, *, reason: str, rc: int) -> bool:
        """It is not started, and will not be: CANCELLED. False, and it is only let go, where a copy may have been."""
        ...

    def keep_results(self, job: int, sets: Mapping[str, str]) -> None:
        """By name, the nodes on which a job went this way, folded; for other programs (docs/design/groups.md)."""
        ...

    def set_pending_reason(self, job: int, reason: str) -> bool:
        """It waits (again), and why. False where it was cancelled meanwhile."""
        ...

    def release(self, job: int) -> None:
        """It goes on without this process; nothing is written where another one has it in hand."""
        ...

    def acquire(self, job: int, reason: str, *, attempt: int) -> bool:
        """Take a job in hand, to start it (again): it is PENDING, for that reason. Whether it is in ours now.

        It is not where it is neither over nor queued in nobody's hands, or was started again since it was seen to be:
        `attempt` is the one that was seen. Nor is it where it is queued, and the end of a copy is not known. Its next
        claims begin far enough above the last one that was written down.
        """
        ...

    def cancel(self, job: int, reason: str) -> None:
        """Who has it in hand shall start it no more; see `record_launch` and `set_pending_reason`."""
        ...

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        """It waits for `rebalance`, in nobody's hands: PENDING, for that reason.

        A move that was meant stays so until `record_launch`: whoever looks meanwhile must know what the last end has
        meant. False, and nothing is written, as with `finish`, where it was cancelled, and where the end of a copy of
        this attempt is not known.
        """
        ...

    def adopt(self, job: int, *, attempt: int) -> bool:
        """Take a job in hand that runs and that nobody has in hand. Whether it is in ours now."""
        ...

    def request_migration(self, job: int, order: MigrationRequest) -> bool:
        """Ask who has a running job in hand to move it. False where another move or a cancel is under way."""
        ...

    def migration_request_of(self, job: int) -> MigrationRequest | None:
        """The move that was last asked or meant of the current attempt, and how far it has come."""
        ...

    def commit_migration(self, job: int, order: MigrationRequest) -> bool:
        """The job is ours: from here on the end of this attempt means that it goes on elsewhere; durable.

        False where it was cancelled, is over, or is in another attempt.
        """
        ...

    def abort_migration(self, job: int, *, attempt: int, reason: str, unless_committed: bool = False) -> bool:
        """The move comes to nothing. With `unless_committed` only one that is merely asked. Whether there was one."""
        ...

    def is_cancelled(self, job: int) -> bool:
        """Whether somebody said so."""
        ...

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        """The newest jobs, oldest first; with `over`, also those that are."""
        ...

    def record(self, job: int) -> JobRecord | None:
        """One job; None where there is no such number."""
        ...

    def copies(self, job: int) -> tuple[CopyRecord, ...]:
        """Of all attempts, in the order of claim and rank."""
        ...

    def submitted(self, job: int) -> Submitted | None:
        """What it was asked to be, a script without its content; None where there is no such number."""
        ...

    def script(self, job: int) -> bytes | None:
        """The content of its script, to start it by; None of a job that is none."""
        ...

    def tasks(self, job: int) -> tuple[Task, ...]:
        """The tasks that it was submitted with, in their order; none of a job of another kind."""
        ...

    def task_log(self, job: int) -> TaskLog:
        """What is remembered of its tasks."""
        ...

    def outputs(self, *, pending: bool = False) -> tuple[OutputRecord, ...]:
        """How far the output files of attempts are written, of jobs that have named any; with `pending` only those."""
        ...

    def set_output(self, job: int, attempt: int, state: OutputState, reason: str = "") -> None:
        """Remember how far the output files of that attempt are written."""
        ...

    def output_lock(self) -> AbstractContextManager[bool]:
        """Whether this process alone may complete output files now; it never waits."""
        ...

    def written_tasks(self, job: int) -> WrittenTasks:
        """Which tasks' output is in its files."""
        ...

    def placed(self, job: int) -> tuple[Placed, ...]:
        """How the nodes of each attempt were chosen; of long lists only the first hundred nodes were kept."""
        ...


class WrittenTasks(Protocol):
    """The tasks of one job whose whole output is in its files. One process adds, many may read."""

    def add(self, claim: int, number: int) -> None:
        """The slot `claim` has run it."""
        ...

    def all(self) -> frozenset[tuple[int, int]]:
        """Pairs of claim and number."""
        ...


class TaskLog(Protocol):
    """What became of the tasks of one job: events, only ever added. One process writes, many may read."""

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        """Write them down; with `durable` they, and all before them, are on the disk when this returns."""
        ...

    def events(self) -> tuple[TaskEvent, ...]:
        """All that can be read, in order; of one that a crash has torn, nothing."""
        ...
