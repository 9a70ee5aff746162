"""What the engine asks of the world, as Protocols. One contract suite per port runs over every implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from clbalance.job import CopyRecord, Intent, JobRecord, JobSpec, JobState, Outcome, Placed, Submitted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Plan, Reading, Trend
from clbalance.moves import MoveOrder
from clbalance.past import HistoryPoint, PastLook
from clbalance.strain import Strain as Strain  # noqa: PLC0414 - others have it from here, as what `Store` speaks of

if TYPE_CHECKING:  # what asks nodes for their load need not import what tasks are (docs/design/startup.md)
    from clbalance.task import Task, TaskEnded, TaskEvent, TaskProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a node wrote to its standard output, without its newline."""

    node: NodeName
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The session is over. If an answer was still awaited, `cause` and `why` say why it will not come."""

    node: NodeName
    cause: Cause
    why: str


SessionEvent: TypeAlias = Line | Closed


class Sessions(Protocol):
    """Shells (`/bin/sh -s`) held open on nodes; the engine talks to them and hears events, one at a time.

    Every opened node ends in exactly one `Closed`, unless `close` was called first. A node's deadline covers
    connecting, authentication, every answer and the tail after end of file; past it the node is `Closed` with
    `Cause.TIMEOUT` and its local process is gone. No node ever delays another.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every session and every local process; nothing of ours is left behind."""
        ...

    def open(self, node: NodeName, *, within_s: float) -> None:
        """Queue a shell on `node`; its clock of `within_s` seconds starts when connecting starts."""
        ...

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        """Write to the shell, also before it is up; `last` closes its standard input afterwards."""
        ...

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """Replace the node's deadline by one that starts now, or lift it."""
        ...

    def close(self, node: NodeName) -> None:
        """End the session without further events of this node."""
        ...

    def open_nodes(self) -> frozenset[NodeName]:
        """Nodes that were opened and of which neither `close` nor `Closed` has told the end."""
        ...

    def next(self, timeout_s: float) -> SessionEvent | None:
        """The next event, or None when there was none within `timeout_s`."""
        ...


class Transport(Protocol):
    """A way to reach nodes."""

    def sessions(self) -> Sessions:
        """A fresh, unopened set of sessions, to be used in a `with` block."""
        ...

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """What to execute so that `command` runs on `node`, on the terminal of who executes it."""
        ...

    def as_user(self, user: str) -> Transport:
        """The same way, logging in as `user`; itself where nobody logs in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What differences need of a reading, and the time when it was taken.

    That is its boot_id, uptime and counters; every other section is `Unknown`.
    """

    at: datetime
    reading: Reading


Samples: TypeAlias = Mapping[str, float]
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
        samples: Mapping[NodeName, Samples] | None = None,
        past: Mapping[NodeName, PastLook] | None = None,
    ) -> None:
        """Keep these as the last known, and `samples` as one more look at their nodes; `past` is added to history.

        Looks at an earlier boot of a node are forgotten then; so are those of the same minute but the last.
        History is of all boots.
        """
        ...

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, Sequence[HistoryPoint]]:
        """Of each of them that was asked in that time, in its order: the older, the longer the spans."""
        ...

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        """What the looks of the day before `at` come to, of each node and index of which there are any."""
        ...

    def strains(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Strain]:
        """How often in a row each of them was silent, has answered, or was over; all 0 of one never looked at."""
        ...

    def keep_strains(self, at: datetime, strains: Mapping[NodeName, Strain]) -> None:
        """In the place of what was kept of these nodes."""
        ...

    def tallies(self) -> Mapping[str, float]:
        """Counters and last values of `rebalance`, by name, for `metrics`."""
        ...

    def tally(self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None) -> None:
        """Add to counters, and set last values."""
        ...

    def new_job_id(self, key: str, name: str) -> int:
        """A number that this host has not given before, durable before it is returned."""
        ...


class Journal(Protocol):
    """What this submit host remembers of its jobs (docs/design/jobs.md). What has returned is on the disk.

    Many processes use it at once. Losing it loses numbers and history, never a job.
    """

    def submit(self, at: datetime, submitted: Submitted, tasks: Sequence[Task] = ()) -> int:
        """A number never given before; the job is PENDING, and ours. `submitted.job.id` is not read."""
        ...

    def intend(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        """These copies are going to be started. False where the job was cancelled meanwhile: start nothing."""
        ...

    def intend_slots(self, job: int, *, attempt: int, slots: Mapping[int, Intent], plan: Plan | None) -> bool:
        """As `intend`, of further slots of a job of tasks, by their claims; `plan` with the first of them."""
        ...

    def consider(self, job: int, *, attempt: int, claim: int, plan: Plan) -> None:
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

    def conclude(self, job: int, at: datetime, *, attempt: int, state: JobState, reason: str, rc: int) -> bool:
        """The job is over and in nobody's hands; the first word counts. For CANCELLED, `cancel` knows the reason.

        False, and nothing is written, where it is over already, where another process has it in hand, or where
        another attempt has begun: what was found out of this one comes too late.
        """
        ...

    def withdraw(self, job: int, at: datetime, *, reason: str, rc: int) -> bool:
        """It is not started, and will not be: CANCELLED. False, and it is only let go, where a copy may have been."""
        ...

    def keep_results(self, job: int, sets: Mapping[str, str]) -> None:
        """By name, the nodes on which a job went this way, folded; for other programs (docs/design/groups.md)."""
        ...

    def pend(self, job: int, reason: str) -> bool:
        """It waits (again), and why. False where it was cancelled meanwhile."""
        ...

    def let_go(self, job: int) -> None:
        """It goes on without this process; nothing is written where another one has it in hand."""
        ...

    def take(self, job: int, reason: str, *, attempt: int) -> bool:
        """Take a job in hand, to start it (again): it is PENDING, for that reason. Whether it is in ours now.

        It is not where it is neither over nor queued in nobody's hands, or was started again since it was seen to be:
        `attempt` is the one that was seen. Nor is it where it is queued, and the end of a copy is not known. Its next
        claims begin far enough above the last one that was written down.
        """
        ...

    def cancel(self, job: int, reason: str) -> None:
        """Who has it in hand shall start it no more; see `intend` and `pend`."""
        ...

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        """It waits for `rebalance`, in nobody's hands: PENDING, for that reason.

        A move that was meant stays so until `intend`: whoever looks meanwhile must know what the last end has meant.
        False, and nothing is written, as with `conclude`, where it was cancelled, and where the end of a copy of this
        attempt is not known.
        """
        ...

    def adopt(self, job: int, *, attempt: int) -> bool:
        """Take a job in hand that runs and that nobody has in hand. Whether it is in ours now."""
        ...

    def ask_move(self, job: int, order: MoveOrder) -> bool:
        """Ask who has a running job in hand to move it. False where another move or a cancel is under way."""
        ...

    def move_of(self, job: int) -> MoveOrder | None:
        """The move that was last asked or meant of the current attempt, and how far it has come."""
        ...

    def mean_move(self, job: int, order: MoveOrder) -> bool:
        """The job is ours: from here on the end of this attempt means that it goes on elsewhere; durable.

        False where it was cancelled, is over, or is in another attempt.
        """
        ...

    def call_off_move(self, job: int, *, attempt: int, why: str, unless_meant: bool = False) -> bool:
        """The move comes to nothing. With `unless_meant` only one that is merely asked. Whether there was one."""
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

    def placed(self, job: int) -> tuple[Placed, ...]:
        """How the nodes of each attempt were chosen; of long lists only the first hundred nodes were kept."""
        ...


class TaskLog(Protocol):
    """What became of the tasks of one job: events, only ever added. One process writes, many may read."""

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        """Write them down; with `durable` they, and all before them, are on the disk when this returns."""
        ...

    def events(self) -> tuple[TaskEvent, ...]:
        """All that can be read, in order; of one that a crash has torn, nothing."""
        ...


class Clock(Protocol):
    """Time, so that the pure layer takes it as an argument and tests need not wait."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards, for durations and deadlines."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass; a signal that stops us ends it."""
        ...


class JobInput(Protocol):
    """The file that becomes a job's standard input; read in pieces, once per node, at each node's own pace."""

    @property
    def path(self) -> str | None:
        """Where it lies, absolute; None of an empty one."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; empty at the end."""
        ...


class RunListener(Protocol):
    """Who is told what a run does, as it happens: the terminal, files, or nobody."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet, or the job starts again; called with each new reason."""
        ...

    def moving(self, job: JobSpec, node: NodeName, why: str) -> None:
        """It is about to be stopped, to go on on `node`."""
        ...

    def placed(self, job: JobSpec, plan: Plan) -> None:
        """Called once per attempt, before anything is started."""
        ...

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        """One copy runs; by what its limits are kept there, in its node's words."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """Something about a copy that its user should know."""
        ...

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of a copy's `stdout` or `stderr`, in order; the next waits until this returns."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Called once per copy and attempt, after its last output."""
        ...


class TaskListener(Protocol):
    """Who is told what becomes of tasks, as it happens."""

    def waiting(self, reason: str) -> None:
        """Nothing fits yet; called with each new reason."""
        ...

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None:
        """Called once, with the number of slots asked of each node, before anything is started."""
        ...

    def warned(self, node: NodeName, text: str) -> None:
        """Something that the user should know."""
        ...

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        """Called with each piece of what a task writes, in order."""
        ...

    def ended(self, ended: TaskEnded) -> None:
        """Called when a task is over, after its last output."""
        ...

    def progressed(self, progress: TaskProgress) -> None:
        """Called now and then."""
        ...


class SweepListener(Protocol):
    """Who is told how far a sweep has come."""

    def asked(self, total: int) -> None:
        """Called once, when `total` nodes have been asked and are at work."""
        ...

    def answered(self, node: NodeName) -> None:
        """Called once per node, answer or silence."""
        ...

    def done(self) -> None:
        """Called once at the end, also when the sweep is cut short."""
        ...

    def forgot(self, why: str) -> None:
        """The store failed: rates are unknown now or next time, and all else goes on."""
        ...
