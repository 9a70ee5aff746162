"""A job as it was submitted: its payload, limits, restart policy and output files. Frozen values."""

import math
from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request
from clbalance.model.job_files import JobFiles

# -- payload and job ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The content of a file at submit time; run by its `#!` line, or by `/bin/sh` if it has none."""

    name: str
    content: bytes | None
    """None: the content is in the journal, and is read only when the job is started."""
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An argv, executed exactly, without a shell."""

    argv: tuple[str, ...]


Payload: TypeAlias = Script | Command


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job, the same on each of its nodes. `umask` as an integer; `time_limit_s` None: without end."""

    id: int
    key: str
    """128 random bits in hexadecimal: the job's name on all machines; `id` is its number on this submit host."""
    name: str
    payload: Payload
    chdir: str
    chdir_explicit: bool
    umask: int
    env: Mapping[str, str] = field(default_factory=dict)
    login: bool = False
    time_limit_s: float | None = None
    grace_s: float = 5.0
    pty: tuple[int, int] | None = None
    """Rows and columns of the terminal that it runs on. Such a job ends with the connection that started it."""
    submit_host: str = ""
    submit_dir: str = ""
    attempt: int = 1
    """Number of this start of the job."""
    claim: int = 1
    """Number of this try to be admitted; the job's folder on a node is `<key>.<claim>`."""
    previous_nodes: str = ""
    """Nodes of the previous attempt, folded."""
    user: str | None = None
    """Login name on its nodes, to start the job and for everything about it later; None: as in the settings."""
    slots: bool = False
    """The copies are slots that run tasks (`model/task.py`), several on a node; each slot has a claim of its own."""
    first_node: bool = False
    """Only the first copy runs the payload; the others hold their nodes for it until it is over."""
    files: JobFiles | None = None
    """What is sent to its nodes and returned from there. None: no file, and it has no work folder of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How a job is told to save its progress: the signal, and how long saving may take."""

    signal: int
    grace_s: float = 60.0
    file: str | None = None
    """Newly written once the job has saved; relative to its working directory. None: only exit code 85 says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When a job is started again, whether it may be migrated, and how long it may wait for nodes."""

    retry: int = 0
    """Number of further starts if it fails."""
    requeue: bool = False
    """Start it again if its node failed: it was started there and did not end, however far it had come."""
    requeue_exits: frozenset[int] = frozenset()
    """Exit codes that start it again; 85 means "I have checkpointed, start me again" (HTCondor's convention)."""
    queue_for_s: float | None = None
    """How long to wait for nodes; None: fail at once if nothing fits."""
    after: tuple[int, ...] = ()
    """Numbers of jobs that must be completed first."""
    queue: bool = False
    """Queue it if nothing fits; `rebalance` starts it."""
    checkpoint: Checkpoint | None = None
    """Set: it may be migrated; it is told to checkpoint, and started elsewhere."""

    @property
    def may_wait(self) -> bool:
        """Whether the job was submitted to wait: for nodes that fit, or for other jobs."""
        return self.queue or self.queue_for_s is not None or bool(self.after)

    @property
    def may_start_again(self) -> bool:
        """Whether the job may be started more than once."""
        return bool(self.retry or self.requeue or self.requeue_exits)

    def needs_controller(self, *, is_attended: bool) -> bool:
        """Whether a detached job gets a controller: to start it later or again, or because it is attended otherwise."""
        return not self.queue and (self.may_wait or self.may_start_again or is_attended)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """Limits of a task job."""

    at_once: int | None = None
    """How many tasks may run at once; None: as many as there are slots."""
    max_fail: float | None = None
    """Stop giving out tasks when more than this many have failed, or this many per cent of all."""
    max_fail_is_pct: bool = False


STANDARD_INPUT = "-"
"""In place of a path: the standard input of the command that submitted the job."""


class NoInput:
    """An empty standard input."""

    path = None
    live = None

    def read(self, offset: int, size: int) -> bytes:
        """No bytes."""
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """All that was submitted of a job, as needed to start it again."""

    job: JobSpec
    request: Request
    candidates: tuple[NodeName, ...]
    restart_policy: RestartPolicy = RestartPolicy()
    stdin_path: str | None = None
    """Its input file, absolute; `STANDARD_INPUT`; None: its input is empty."""
    rules: TaskRules | None = None
    """Set for a task job only."""
    notify: str | None = None
    """Command to run on this host when the job is over."""
    group: str | None = None
    """The group, if the candidates were named by one group alone; its policy applies to the job."""
    policy: str | None = None
    """As typed."""
    priority: float = 0.0
    """Priority in the queue; higher starts sooner."""
    output: str | None = None
    """Absolute file name pattern for its standard output; None: no file was named."""
    error: str | None = None
    """The same for its standard error. None and `output` set: errors go to that file, as with `sbatch`."""
    account: str = ""
    """Whose share of the waiting list it counts for, as typed; empty: not named (docs/design/fair-share.md)."""
    begin_at_s: float | None = None
    """It is not started before this, in seconds since 1970; None: it may start at once."""
    engine: str = ""
    """The batch system that runs it, such as `slurm`; empty: its nodes are chosen here."""

    @property
    def returns_files(self) -> bool:
        """Whether its nodes keep its work folders until it is over: for results, or for tasks that share inputs."""
        return self.job.files is not None and (bool(self.job.files.returned) or self.job.slots)

    @property
    def has_files(self) -> bool:
        """Whether any of its output goes to a file."""
        return self.output is not None or self.error is not None

    @property
    def needs_controller(self) -> bool:
        """Whether the job gets a controller when detached.

        To start it later or again, for its files, its output files or `--notify`, or to free nodes that are held for
        its first one.
        """
        holds_nodes = self.job.first_node and self.request.pick != 1
        has_any_files = self.has_files or self.job.files is not None
        is_attended = has_any_files or self.notify is not None or self.rules is not None or holds_nodes
        return self.restart_policy.needs_controller(is_attended=is_attended)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChanges:
    """Changes of a pending job; None leaves a value as it is. `time_limit_s` infinite: without end."""

    name: str | None = None
    priority: float | None = None
    time_limit_s: float | None = None

    def applied_to(self, submitted: Submitted) -> Submitted:
        """The job as if it had been submitted so."""
        job, limit_s = submitted.job, self.time_limit_s
        if limit_s is not None:
            job = replace(job, time_limit_s=None if limit_s == math.inf else limit_s)
        job = replace(job, name=job.name if self.name is None else self.name)
        return replace(submitted, job=job, priority=submitted.priority if self.priority is None else self.priority)


class OutputState(StrEnum):
    """Whether the output files of an attempt are complete."""

    PENDING = "pending"
    """The nodes still have output that the files lack, or the job has not ended."""
    COMPLETE = "complete"
    LOST = "lost"
    """Never complete: the nodes no longer have the output, or the file cannot be rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """The output files of one attempt. `reason`: why they are not complete, if known."""

    job: int
    attempt: int
    state: OutputState
    reason: str = ""
