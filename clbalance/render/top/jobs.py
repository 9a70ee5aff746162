"""The views of jobs and of users: what runs on the nodes by their leases, and what waits on this host."""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Measured, NodeName, Unknown
from clbalance.model.job_record import JobRecord, JobState
from clbalance.nodeset import fold
from clbalance.policy.gpu_users import is_strangers, users_of
from clbalance.policy.jobs.eligibility import pending_reason
from clbalance.policy.jobs.leased import LeasedJob
from clbalance.render.table import Column, Tone
from clbalance.render.text import duration
from clbalance.render.top.item import Item, Items, TopColumn, Value
from clbalance.render.top.round import Round

_JOB_COLUMNS = (
    TopColumn(column=Column(heading="JOB"), key="job"),
    TopColumn(column=Column(heading="USER"), key="user"),
    TopColumn(column=Column(heading="STATE"), key="state"),
    TopColumn(column=Column(heading="NODES"), key="node_set"),
    TopColumn(column=Column(heading="CPUS", align="right", sacrifice=2), key="cpus"),
    TopColumn(column=Column(heading="MEM", align="right", sacrifice=3), key="mem_bytes"),
    TopColumn(column=Column(heading="GPUS", align="right", sacrifice=1), key="gpus"),
    TopColumn(column=Column(heading="TIME", align="right"), key="seconds"),
    TopColumn(column=Column(heading="NAME", sacrifice=4), key="name"),
    TopColumn(column=Column(heading="COMMAND (REASON)"), key="command"),
)
_NODES_CHARS = _NAME_CHARS = 24


def job_items(found: Round) -> Items:
    """The jobs that run, longest first, then those that wait, by their numbers, then those that have ended."""
    answers = {row.node: row.answer for row in found.rows if isinstance(row.answer, Measured)}
    leased = found.leased()
    seen = {job.key for job in leased if _is_own(job)}
    items = [_leased(job, answers, found) for job in leased]
    items += [_recorded(job, found) for job in found.jobs if job.key not in seen]
    known = {item.key for item in items}
    items += [item for job in found.ended if (item := _recorded(job, found)).key not in known]
    return Items(columns=_JOB_COLUMNS, items=tuple(items))


def job_key(key: str, uid: int | None = None) -> str:
    """The key of a job's row. `uid`: its owner, if it is another's: anybody can give a lease any key."""
    return f"job:{'' if uid is None else uid}/{key}"


def _is_own(job: LeasedJob) -> bool:
    return any(copy.login == job.uid for copy in job.copies)


def _leased(job: LeasedJob, answers: Mapping[NodeName, Measured], found: Round) -> Item:
    first = job.copies[0]
    answer, allocation = answers[first.node], first.lease.allocation
    known = found.names.job(answer, first.lease)
    told = allocation if isinstance(allocation, Allocation) else None
    reason = allocation.reason if isinstance(allocation, Unknown) else None
    return Item(
        key=job_key(job.key, None if _is_own(job) else job.uid),
        values=(
            Value.of(found.names.shown_job(answer, first.lease)),
            Value.of(found.names.shown_user(first.node, job.uid)),
            Value.of(JobState.RUNNING),
            _node_set(job.nodes),
            Value.number(None if told is None else told.cpus * len(job.copies)),
            Value.bytes(None if told is None else told.mem_bytes * len(job.copies)),
            Value.number(_devices(job) or None),
            Value.number(max(copy.age_s for copy in job.copies), duration),
            Value.of("" if told is None else told.name[:_NAME_CHARS]),
            _command("" if known is None else known.command, reason),
        ),
        nodes=job.nodes,
        reason=reason,
    )


def _command(command: str, reason: str | None) -> Value:
    """The command, or the reason in parentheses."""
    shown = Value.of(f"({reason})", Tone.WARN) if reason else Value.of(command)
    return replace(shown, value=command or None)


def _devices(job: LeasedJob) -> float:
    taken = [one.lease.allocation for one in job.copies]
    return sum(len(one.gpus) * one.gpu_share for one in taken if isinstance(one, Allocation))


def _recorded(job: JobRecord, found: Round) -> Item:
    """A job of this host that no lease shows: it waits, its node is silent, or it is over."""
    until = job.ended_at or found.taken_at
    reason = _reason(job, found)
    began = None if job.state is JobState.PENDING else job.started_at
    nothing = Value.of("")
    return Item(
        key=job_key(job.key),
        values=(
            Value.of(str(job.id)),
            Value.of(found.user),
            Value.of(job.state),
            _node_set(job.nodes),
            *(nothing, nothing, nothing),
            Value.number(_seconds(began, until), duration),
            Value.of(job.name[:_NAME_CHARS]),
            _command("", reason),
        ),
        nodes=job.nodes,
        reason=reason or None,
    )


def _reason(job: JobRecord, found: Round) -> str:
    if job.ended_at is not None:
        return job.reason or (f"exit code {job.rc}" if job.rc else "")
    return pending_reason(job, found.taken_at) if job.state is JobState.PENDING else _unseen(job, found)


def _unseen(job: JobRecord, found: Round) -> str:
    """Why a running job has no lease."""
    answered = {row.node for row in found.rows if isinstance(row.answer, Measured)}
    missing = [node for node in job.nodes if node not in answered]
    return f"no answer from {fold(missing)}" if missing else "no lease any more: `clbalance jobs` asks how it ended"


def _seconds(began: datetime | None, now: datetime) -> float | None:
    return None if began is None else max(0.0, (now - began).total_seconds())


def _node_set(nodes: Iterable[NodeName]) -> Value:
    text = fold(nodes)
    shown = Value.of(text if len(text) <= _NODES_CHARS else f"{text[: _NODES_CHARS - 2]}..")
    return replace(shown, value=text or None)


# -- users

_USER_COLUMNS = (
    TopColumn(column=Column(heading="USER"), key="user"),
    TopColumn(column=Column(heading="RUNNING", align="right"), key="running"),
    TopColumn(column=Column(heading="PENDING", align="right"), key="pending"),
    TopColumn(column=Column(heading="CPUS", align="right"), key="cpus"),
    TopColumn(column=Column(heading="MEM", align="right", sacrifice=1), key="mem_bytes"),
    TopColumn(column=Column(heading="GPUS", align="right"), key="gpus"),
    TopColumn(column=Column(heading="GPU-MEM", align="right", sacrifice=2), key="gpu_mem_bytes"),
    TopColumn(column=Column(heading="STRAY", align="right"), key="gpu_processes_without_job"),
    TopColumn(column=Column(heading="NODES"), key="node_set"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _User:
    """What one user has."""

    name: str = ""
    running: frozenset[str] = frozenset()
    pending: int = 0
    cpus: float = 0.0
    mem_bytes: float = 0.0
    gpus: float = 0.0
    gpu_mem_bytes: float = 0.0
    stray: int = 0
    """Processes on GPUs that belong to no job."""
    nodes: tuple[NodeName, ...] = field(default=())


def user_items(found: Round) -> Items:
    """A row for each user who has a job or a process on a GPU, in the order of their names."""
    users: dict[int, _User] = {}
    for job in found.leased():
        _add_job(users, job, found)
    for row in found.rows:
        if isinstance(row.answer, Measured):
            _add_processes(users, row.answer, found)
    if pending := found.pending():
        users[found.uid] = replace(users.get(found.uid, _User(name=found.user)), pending=pending)
    named = sorted(users.items(), key=lambda one: (one[1].name, one[0]))
    return Items(columns=_USER_COLUMNS, items=tuple(_user_item(uid, user) for uid, user in named))


def _add_job(users: dict[int, _User], job: LeasedJob, found: Round) -> None:
    for copy in job.copies:
        user = users.get(job.uid) or _User(name=found.names.shown_user(copy.node, job.uid))
        taken = copy.lease.allocation if isinstance(copy.lease.allocation, Allocation) else Allocation()
        users[job.uid] = replace(
            user,
            running=user.running | {job.key},
            cpus=user.cpus + taken.cpus,
            mem_bytes=user.mem_bytes + taken.mem_bytes,
            gpus=user.gpus + len(taken.gpus) * taken.gpu_share,
            nodes=(*user.nodes, copy.node),
        )


def _add_processes(users: dict[int, _User], answer: Measured, found: Round) -> None:
    for on_device in users_of(answer.reading).values():
        for one in on_device:
            if one.process is None or one.process.uid is None:
                continue
            uid, held = one.process.uid, one.process.mem_bytes
            user = users.get(uid) or _User(name=found.names.shown_user(answer.node, uid))
            users[uid] = replace(
                user,
                gpu_mem_bytes=user.gpu_mem_bytes + (0 if isinstance(held, Unknown) else held),
                stray=user.stray + bool(is_strangers(one, answer.reading)),
                nodes=(*user.nodes, answer.node),
            )


def _user_item(uid: int, user: _User) -> Item:
    nodes = tuple(dict.fromkeys(user.nodes))
    return Item(
        key=f"user:{uid}",
        values=(
            Value.of(user.name),
            Value.number(len(user.running)),
            Value.number(user.pending),
            Value.number(user.cpus),
            Value.bytes(user.mem_bytes),
            Value.number(user.gpus),
            Value.bytes(user.gpu_mem_bytes),
            Value.number(user.stray, tone=Tone.WARN if user.stray else Tone.PLAIN),
            _node_set(nodes),
        ),
        nodes=nodes,
    )
