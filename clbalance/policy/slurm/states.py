"""Slurm's job states and exit codes in our words: one table (docs/design/engines.md). Pure."""

from collections.abc import Sequence
from signal import SIGKILL
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    JobState,
    Killed,
    NodeFailed,
    NotStarted,
    OutOfMemory,
    TimedOut,
)
from clbalance.model.slurm import SlurmJob

_WAITS: Final = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"})
_RUNS: Final = frozenset({"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"})
_BY_EXIT: Final = frozenset({"COMPLETED", "FAILED", "SPECIAL_EXIT"})
"""The job ended by itself, and its exit code says how."""
_NODE_FAILED: Final = frozenset({"NODE_FAIL", "BOOT_FAIL"})
_CANCELLED: Final = frozenset({"CANCELLED", "PREEMPTED", "REVOKED", "DEADLINE"})
_ENDED: Final = _BY_EXIT | _NODE_FAILED | _CANCELLED | {"TIMEOUT", "OUT_OF_MEMORY"}
KNOWN: Final = _WAITS | _RUNS | _ENDED
_FIRST_SIGNAL_CODE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was asked for a job, for the words of its end. 0: no limit."""

    copies: int = 1
    time_limit_s: float = 0.0
    mem_bytes: int = 0


def job_state(slurm_state: str) -> JobState:
    """Our word. A state that is not known here, such as one of a newer Slurm, is no end: the job counts as running."""
    if slurm_state in _WAITS:
        return JobState.PENDING
    if slurm_state not in _ENDED:
        return JobState.RUNNING
    if slurm_state in _NODE_FAILED:
        return JobState.NODE_FAIL
    if slurm_state in _CANCELLED:
        return JobState.CANCELLED
    if slurm_state == "SPECIAL_EXIT":
        return JobState.FAILED
    return JobState(slurm_state)


def is_over(slurm_state: str) -> bool:
    """Whether no process of the job runs any more, and none will."""
    return slurm_state in _ENDED


def pending_reason(job: SlurmJob) -> str:
    """Why it waits, for its record: never empty."""
    state = "" if job.state == "PENDING" else job.state
    return f"Slurm: {': '.join(filter(None, (state, job.reason))) or 'not looked at yet'}"


def ends(job: SlurmJob, written: Sequence[int | None], terms: Terms, *, has_claim: bool) -> tuple[End, ...]:
    """How the copies of a job ended that is over in Slurm, by rank.

    `written`: the exit code that each copy has written itself, which is surer than Slurm's: that is one for all copies.
    A code above 128 may be that of a signal by which Slurm has ended the job, so there Slurm's state counts.
    `has_claim`: whether the job has begun.
    """
    return tuple(_end(job, rc, terms, has_claim=has_claim) for rc in written)


def needs_slurm(written: Sequence[int | None]) -> bool:
    """Whether the codes that the copies have written leave open how the job ended."""
    return any(rc is None or rc > _FIRST_SIGNAL_CODE for rc in written)


def _end(job: SlurmJob, written: int | None, terms: Terms, *, has_claim: bool) -> End:
    if written is not None and (written <= _FIRST_SIGNAL_CODE or job.state in _BY_EXIT):
        return Exited(rc=written)
    why = f"Slurm: {', '.join(filter(None, (job.state, job.reason)))}"
    if job.state in _NODE_FAILED:
        return NodeFailed(reason=why)
    if job.state == "TIMEOUT" and terms.time_limit_s:
        return TimedOut(limit_s=terms.time_limit_s)
    if job.state == "OUT_OF_MEMORY":
        return OutOfMemory(limit_bytes=terms.mem_bytes) if terms.mem_bytes else Killed(signal=SIGKILL)
    return _by_exit(job, why, has_claim=has_claim) if job.state in _BY_EXIT else Cancelled(reason=why)


def _by_exit(job: SlurmJob, why: str, *, has_claim: bool) -> End:
    """Of a copy whose own word is not seen here."""
    if not has_claim:
        return NotStarted(reason=f"{why}; its folder may not be on a file system that its node shares")
    return Killed(signal=job.signal) if job.signal else Exited(rc=job.rc or 0)
