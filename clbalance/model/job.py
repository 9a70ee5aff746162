"""A job as it was submitted: what is to run, how often, within what limits. Frozen values."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request

# -- what is to run -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A file's content as it was at submit; run by its `#!` line, or by `/bin/sh` without one."""

    name: str
    content: bytes | None
    """None: it lies where the job is remembered, and only who starts the job reads it there."""
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
    """128 random bits in hexadecimal: the job's name between machines; `id` is this submit host's alias."""
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
    """Rows and columns of the terminal that it runs on; it ends with the connection of who has started it."""
    submit_host: str = ""
    submit_dir: str = ""
    attempt: int = 1
    """Which start of the job this is."""
    claim: int = 1
    """Which try to be admitted; its folder on a node is `<key>.<claim>`."""
    previous_nodes: str = ""
    """Where the attempt before ran, folded."""
    user: str | None = None
    """Who logs in on its nodes, for the job and for whoever looks after it; None: as the settings say."""
    slots: bool = False
    """Its copies are slots, several on a node, that run tasks (`model/task.py`); each has a claim of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How a job is told to save what it has done: by this signal, and so long it may take."""

    signal: int
    grace_s: float = 60.0
    file: str | None = None
    """Written anew, it has; where it works if not absolute. None: it says so by exit code 85 alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How often a job is started, where it may be moved, and how long it may wait for a place."""

    retry: int = 0
    """So many times more, when it fails."""
    requeue: bool = False
    """When its node has failed: it was started and did not end there, whatever it had done until then."""
    requeue_exits: frozenset[int] = frozenset()
    """When it exits so; 85 means "I have checkpointed, start me again" (HTCondor's convention)."""
    queue_for_s: float | None = None
    """None: nothing fits, nothing runs."""
    after: tuple[int, ...] = ()
    """Not before these jobs have been completed."""
    queue: bool = False
    """Where nothing fits it is queued, and started by `rebalance`."""
    checkpoint: Checkpoint | None = None
    """It may be moved: it is told to checkpoint, and started elsewhere."""

    @property
    def need_controller(self) -> bool:
        """Whether somebody must have the job in hand after its first start, or before it; else the queue has it."""
        again = self.retry or self.requeue or self.requeue_exits or self.queue_for_s or self.after
        return bool(again) and not self.queue


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """What a job of tasks may do."""

    at_once: int | None = None
    """So many at most."""
    max_fail: float | None = None
    """No more are given out when more than so many have failed, or so many per cent of all."""
    max_fail_is_pct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a job was asked to be, to start it again by."""

    job: JobSpec
    request: Request
    candidates: tuple[NodeName, ...]
    restart_policy: RestartPolicy = RestartPolicy()
    stdin_path: str | None = None
    rules: TaskRules | None = None
    """Of a job of tasks; None of any other."""
    notify: str | None = None
    """A command to run here when it is over."""
    group: str | None = None
    """The group that was named, where nothing else was: its policy is the job's."""
    policy: str | None = None
    """As typed."""
    priority: float = 0.0
    """Among those that are queued; more is sooner."""
    output: str | None = None
    """The absolute pattern of the file for its standard output; None: no file was named."""
    error: str | None = None
    """The same for its standard error; None with `output` given: errors go to the same file, as with `sbatch`."""

    @property
    def has_files(self) -> bool:
        """Whether any of its output goes to a file."""
        return self.output is not None or self.error is not None


class OutputState(StrEnum):
    """How far the output files of an attempt are written."""

    PENDING = "pending"
    """The nodes still have output that the files lack, or the job has not ended."""
    COMPLETE = "complete"
    LOST = "lost"
    """They will never be complete: the nodes do not have the output any more, or the file cannot be rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """The output files of one attempt. `reason`: why they are not complete, as far as that was found out."""

    job: int
    attempt: int
    state: OutputState
    reason: str = ""
