"""Jobs of any user, as the leases on nodes show them, and the words that name them. Pure.

What a lease says is its owner's claim. What counts is the uid that owns it: a job is always one of one uid.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Lease, Measured, NodeName, Unknown
from clbalance.policy.allocations import age_s

_SHORT_KEY_CHARS = 12  # shown of a key, as of a commit: enough to tell a cluster's jobs apart
_MOST_CLAIMS = 1_000_000
_KEY = re.compile(r"[0-9a-f]{32}")
_USER = r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,31}\$?)"
_BY_KEY = re.compile(rf"(?:{_USER}/)?(?P<key>[0-9a-f]{{8,32}})")
_BY_NUMBER = re.compile(rf"{_USER}/(?P<number>[0-9]{{1,18}})@(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]{{0,252}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedCopy:
    """A copy, by the node that runs it and its lease there."""

    node: NodeName
    lease: Lease
    boot_id: str
    """Of the node; empty if not known."""
    login: int | None
    """The uid that we have there; None: not known."""
    age_s: float
    """Since the lease was granted; 0 if the node does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedJob:
    """A running job: the leases of one uid with one key."""

    key: str
    uid: int
    copies: tuple[LeasedCopy, ...]

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Its nodes, each once."""
        return tuple(dict.fromkeys(copy.node for copy in self.copies))

    @property
    def forbidden_on(self) -> NodeName | None:
        """A node where we are neither root nor its owner, so that it is none of our business; None: there is none."""
        return next((one.node for one in self.copies if one.login not in (None, 0, self.uid)), None)

    def named(self, user: str) -> str:
        """What to type for it; `user`: its owner, as `cancel` takes it."""
        return owner_and_key(user, self.key)


def owner_and_key(user: str, key: str) -> str:
    """A job that has no number here, as it is shown and typed."""
    return f"{user}/{key[:_SHORT_KEY_CHARS]}"


def leased_jobs(answers: Iterable[Answer]) -> tuple[LeasedJob, ...]:
    """The running jobs of all users, longest running first."""
    found: dict[tuple[int, str], list[LeasedCopy]] = {}
    for answer in answers:
        for copy in _copies(answer):
            found.setdefault((copy.lease.uid, copy.lease.key), []).append(copy)
    jobs = (LeasedJob(key=key, uid=uid, copies=tuple(copies)) for (uid, key), copies in found.items())
    return tuple(sorted(jobs, key=lambda job: -max(copy.age_s for copy in job.copies)))


def addressable(jobs: Iterable[LeasedJob]) -> tuple[LeasedJob, ...]:
    """The jobs, with the copies that an agent takes by name. Anybody can lock a file that is called a lease."""
    known = (
        replace(job, copies=tuple(copy for copy in job.copies if 0 < copy.lease.attempt < _MOST_CLAIMS))
        for job in jobs
        if _KEY.fullmatch(job.key)
    )
    return tuple(job for job in known if job.copies)


def _copies(answer: Answer) -> list[LeasedCopy]:
    if not isinstance(answer, Measured) or isinstance(answer.reading.leases, Unknown):
        return []
    reading = answer.reading
    boot_id = "" if isinstance(reading.boot_id, Unknown) else reading.boot_id
    login = None if isinstance(reading.uid, Unknown) else reading.uid
    return [
        LeasedCopy(node=answer.node, lease=one, boot_id=boot_id, login=login, age_s=_age_s(one, reading.uptime_s))
        for one in answer.reading.leases
    ]


def _age_s(lease: Lease, uptime_s: float | Unknown) -> float:
    return 0.0 if isinstance(lease.allocation, Unknown) else age_s(lease.allocation, uptime_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobName:
    """How a job is named that need not be one's own: by its key, or by its number on the host that submitted it."""

    user: str | None = None
    """A user name or a uid; None: whoever has that key."""
    key: str = ""
    """The key, or its first digits."""
    number: int = 0
    host: str = ""

    def may_be(self, job: LeasedJob, name_of: Callable[[int], str]) -> bool:
        """Whether it may name that job. Who asks for a number must look into the owner's folder as well."""
        return (self.user is None or self.user in (str(job.uid), name_of(job.uid))) and job.key.startswith(self.key)


def job_name(word: str) -> JobName | None:
    """`USER/KEY`, `KEY` or `USER/NUMBER@HOST`; None for the words of one's own jobs: numbers, ranges, names, `last`.

    A key without its user is whole: shorter, it could be a number.
    """
    if found := _BY_NUMBER.fullmatch(word):
        return JobName(user=found["user"], number=int(found["number"]), host=found["host"])
    if (found := _BY_KEY.fullmatch(word)) and (found["user"] or _KEY.fullmatch(word)):
        return JobName(user=found["user"], key=found["key"])
    return None


def owners_named(jobs: Sequence[LeasedJob], name_of: Callable[[int], str]) -> str:
    """These jobs as they can be typed, for a message."""
    shown = ", ".join(job.named(name_of(job.uid)) for job in jobs[:5])
    return f"{shown}, ..." if len(jobs) > 5 else shown


# Why a job was ended by somebody who does not have it in his journal: its owner, and the owner's controller, read it.

_CANCELLED = re.compile(r"cancelled by [^\s:]+ \(")


def cancel_reason(who: str, caller: str, host: str) -> str:
    """The reason of a whole job's end. `who`: on the node; `caller`: on `host`, from where it was cancelled."""
    return f"cancelled by {who} ({caller}@{host})"


def drained_reason(nodes: str, reason: str) -> str:
    """The reason of an end on drained nodes, at the deadline of the drain. Tasks of the job may go on elsewhere."""
    return f"cancelled by root: {reason} (drain of {nodes})"


def ends_the_job(reason: str) -> bool:
    """Whether the whole job was cancelled, so that its controller starts nothing of it any more."""
    return _CANCELLED.match(reason) is not None
