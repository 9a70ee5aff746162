"""Find running jobs that others have submitted, or oneself elsewhere, by the leases on nodes; and end or signal them.

Who is root on the nodes may do so to anybody's jobs (docs/design/administrator.md).
"""

import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence

from clbalance.cli.audit import AuditTrail
from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import name_here, user_name
from clbalance.cli.options import NodeOptions, ReachOptions, SshOptions
from clbalance.engine.jobs.leased import end_leased, kept_specs, signal_leased
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ClbalanceError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Silent
from clbalance.model.job_record import JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.leased import JobName, LeasedJob, addressable, cancel_reason, leased_jobs, owners_named
from clbalance.policy.jobs.outcome import reason_of, state_of, worst_outcome
from clbalance.render import messages
from clbalance.render.reports.balance.rebalance import Action
from clbalance.render.reports.jobs.run import JobResult, Outputs


def owner_name(uid: int) -> str:
    """The owner as it is typed: the user's name here, else the uid. What a node says of names is not asked."""
    return name_here(uid) or str(uid)


def shown_name(job: LeasedJob) -> str:
    """The job as `jobs` shows it and as `cancel` takes it."""
    return job.named(owner_name(job.uid))


@contextlib.contextmanager
def leased_services(
    names: Mapping[str, JobName], node_sets: Sequence[str], ssh: ReachOptions, console: Console, opened: Services
) -> Iterator[tuple[Services, tuple[LeasedJob, ...]]]:
    """The jobs of these names, each once, and the services to visit them. They are looked for on `node_sets`, or on all
    nodes. `opened`: has the state database.

    `UsageError` for a name of no job or of several, and if we are neither root there nor the owner.
    """
    nodes = NodeOptions(nodes=list(node_sets) or None)
    everywhere = SshOptions(
        user=ssh.user,
        connect_timeout=ssh.connect_timeout,
        command_timeout=ssh.command_timeout,
        ssh_options=ssh.ssh_options,
    )
    cluster = cluster_context(nodes, everywhere, console)
    with cluster.services(opened=(opened.store, opened.journal), meanwhile="clbalance.engine.jobs.leased") as services:
        snapshot = take_snapshot(services, cluster.candidates.nodes)
        silent = [answer for answer in snapshot.answers if isinstance(answer, Silent)]
        for one in silent:
            console.say(messages.warning(f"{one.node}: {one.cause.because(one.reason)}"))
        jobs = addressable(leased_jobs(snapshot.answers))
        asked = (
            f"no answer from {fold(one.node for one in silent)}"
            if silent
            else f"looked on {fold(cluster.candidates.nodes)}"
        )
        found = [_the_one(services, word, name, jobs, asked) for word, name in names.items()]
        yield services, tuple({(job.uid, job.key): job for job in found}.values())


def _the_one(services: Services, word: str, name: JobName, jobs: Sequence[LeasedJob], asked: str) -> LeasedJob:
    may_be = [job for job in jobs if name.may_be(job, owner_name)]
    allowed = [job for job in may_be if job.forbidden_on is None]
    if may_be and not allowed:
        raise _forbidden(word, may_be[0])
    found = _with_number(services, name, allowed) if name.number else allowed
    if len(found) > 1:
        raise UsageError(f"`{word}` names {len(found)} jobs", hint=f"one of {owners_named(found, owner_name)}")
    if not found:
        hint = f"{asked}; `clbalance jobs --all-users -a` shows what runs"
        raise UsageError(f"no running job is called `{word}`", hint=hint)
    return found[0]


def _forbidden(word: str, job: LeasedJob) -> ClbalanceError:
    node = job.forbidden_on
    login = next((copy.login for copy in job.copies if copy.node == node), None)
    who = "" if login is None else f", and you are {user_name(login)} there"
    return ClbalanceError(
        f"`{word}` on {node} belongs to {user_name(job.uid)}{who}: only root there may do that to other users' jobs",
        hint="`-l root` logs in as root, if you may; else ask an administrator",
    )


def _with_number(services: Services, name: JobName, jobs: Sequence[LeasedJob]) -> list[LeasedJob]:
    """Those that their owner's folder says were submitted under that number, from that host."""
    specs = kept_specs(services, jobs)
    return [
        job
        for job, spec in zip(jobs, specs, strict=True)
        if spec is not None and spec.number == name.number and _is_host(spec.submit_host, name.host)
    ]


def _is_host(full: str, typed: str) -> bool:
    """Whether `typed` is that host, with or without its domain."""
    return typed in (full, full.partition(".")[0])


# End or signal jobs; each is a line of the audit log.


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedEnd:
    """What was done to a job: `result` in a few words, and whether every node has confirmed it."""

    job: LeasedJob
    outcomes: Sequence[Outcome]
    result: str
    is_confirmed: bool


def end_named(
    services: Services, jobs: Sequence[LeasedJob], console: Console, number: int | None
) -> tuple[LeasedEnd, ...]:
    """End these jobs, or send them a signal."""
    results: dict[int, LeasedEnd] = {}
    try:
        for place, job in enumerate(jobs):
            reason = cancel_reason(_who(job), me(), socket.gethostname())
            ends = end_leased(services, [job], reason) if number is None else signal_leased(services, [job], number)
            is_confirmed, result = _told(console, job, ends[0], number)
            results[place] = LeasedEnd(job=job, outcomes=ends[0], result=result, is_confirmed=is_confirmed)
    finally:  # an interrupt may come after nodes were told
        for place, job in enumerate(jobs):
            result = results[place].result if place in results else "result unknown: no node has confirmed it"
            log_leased(services, console, "cancel" if number is None else "signal", job, result)
    return tuple(results[place] for place in sorted(results))


def leased_result(
    job: LeasedJob, outcomes: Sequence[Outcome], outputs: Outputs | None = None, *, result: str | None = None
) -> JobResult:
    """The job as documents show it: it has no number here."""
    allocation = job.copies[0].lease.allocation
    ended = {outcome.rank for outcome in outcomes}
    worst = worst_outcome(outcomes)
    return JobResult(
        id=None,
        elsewhere=shown_name(job),
        name=allocation.name if isinstance(allocation, Allocation) else "",
        state=str(JobState.RUNNING if worst is None else state_of(worst.end)),
        node_set=fold(job.nodes),
        attempt=job.copies[0].lease.attempt,
        copies=outcomes,
        running={rank: node for rank, node in enumerate(job.nodes) if rank not in ended},
        outputs=outputs or {},
        result=result,
    )


def _who(job: LeasedJob) -> str:
    return "root" if any(copy.login != job.uid for copy in job.copies) else owner_name(job.uid)


def _told(console: Console, job: LeasedJob, outcomes: Sequence[Outcome], number: int | None) -> tuple[bool, str]:
    """Say what happened to a job: whether every node has confirmed it, and the result in a few words."""
    name = shown_name(job)
    if silent := _silent(outcomes):
        later = "it may run on" if number is None else "the signal was not sent"
        for text in silent:
            console.say(messages.warning(f"job {name}: {text}; {later}"))
        return False, f"unsettled: {'; '.join(silent)}"
    result = result_of_end(outcomes) if number is None else f"sent {signal.Signals(number).name}"
    console.say(messages.note(f"job {name}: {result}"))
    return True, result


def result_of_end(outcomes: Sequence[Outcome]) -> str:
    """The result of ending a job, in a few words."""
    if silent := _silent(outcomes):
        return f"unsettled: {'; '.join(silent)}"
    worst = worst_outcome(outcomes)
    return "it has ended meanwhile" if worst is None else str(state_of(worst.end))


def _silent(outcomes: Sequence[Outcome]) -> list[str]:
    return [f"{one.node}: {reason_of(one.end)}" for one in outcomes if isinstance(one.end, Lost)]


def log_leased(services: Services, console: Console, what: str, job: LeasedJob, result: str, reason: str = "") -> None:
    """A line of the audit log, of something that was done to a job, or read of it."""
    allocation = job.copies[0].lease.allocation
    AuditTrail(services, console).add(
        Action(
            what=what,
            job=shown_name(job),
            name=allocation.name if isinstance(allocation, Allocation) else "",
            src=fold(job.nodes),
            reason=reason or f"{what} {owner_name(job.uid)}'s job as {_who(job)}",
            result=result,
        )
    )
