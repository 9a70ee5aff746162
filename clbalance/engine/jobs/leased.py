"""Visit running jobs of any user by their leases: root's agents become their owner (docs/design/administrator.md).

Such a job is not in our journal. So nothing is recorded here, and no claim is declared void.
"""

from collections.abc import Sequence
from dataclasses import replace

from clbalance.engine.agent.copies import UNCONFIRMED, FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.protocol import Status
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.jobs.reconcile import Leg
from clbalance.engine.jobs.usage import ask_status
from clbalance.engine.services import Services
from clbalance.model import NodeName
from clbalance.model.job_record import CopyRecord, Intent, Outcome
from clbalance.policy.jobs.leased import LeasedCopy, LeasedJob
from clbalance.policy.jobs.leased_view import CopyStatus, KeptSpec, kept_spec
from clbalance.ports import RunListener

_END_WITHIN_S = 10.0  # on top of the time for a node's answer: for the grace period, and for KILL
_MOST_SPEC_BYTES = 8 << 20  # a request has at most 4 MiB; indented, as it is kept, it is somewhat longer


def visit_leased(
    services: Services,
    jobs: Sequence[LeasedJob],
    mode: FollowMode,
    listeners: Sequence[RunListener] | None = None,
    within_s: float | None = None,
) -> tuple[tuple[Outcome, ...], ...]:
    """Visit the jobs as their owners, one owner after the other, and return the known ends of each job's copies.

    `listeners`: one for each job. A copy without an end runs on, or was gone when we came.
    """
    told = [NullListener() for _ in jobs] if listeners is None else listeners
    ends: dict[int, tuple[Outcome, ...]] = {}
    for uid in dict.fromkeys(job.uid for job in jobs):
        places = [place for place, job in enumerate(jobs) if job.uid == uid]
        theirs = [(jobs[place], told[place]) for place in places]
        ends |= zip(places, _as_owner(replace(services, owner=uid), theirs, mode, within_s), strict=True)
    return tuple(ends[place] for place in range(len(jobs)))


def end_leased(services: Services, jobs: Sequence[LeasedJob], reason: str) -> tuple[tuple[Outcome, ...], ...]:
    """End the jobs, for that reason, and return their ends; `Lost` where a node has not confirmed one."""
    mode = FollowMode(streams=(), end=reason, void=False, persist=False)
    return visit_leased(services, jobs, mode, within_s=2 * services.answer_within_s + _END_WITHIN_S)


def signal_leased(services: Services, jobs: Sequence[LeasedJob], number: int) -> tuple[tuple[Outcome, ...], ...]:
    """Send a signal to every process of the jobs. A copy that got it has no end; `Lost` if its node did not answer."""
    mode = FollowMode(streams=(), signal=number, to_the_end=False, void=False, persist=False)
    return visit_leased(services, jobs, mode, within_s=2 * services.answer_within_s)


def _as_owner(
    services: Services,
    jobs: Sequence[tuple[LeasedJob, RunListener]],
    mode: FollowMode,
    within_s: float | None,
) -> list[tuple[Outcome, ...]]:
    with services.transport.sessions() as sessions:
        multiplexer = AgentMultiplexer(Agents(sessions, services))
        visits = [
            [Leg(services, multiplexer, *claim, listener, mode) for claim in _claims(job).items()]
            for job, listener in jobs
        ]
        legs = [leg for visit in visits for leg in visit]
        services.listener.asked(len({copy.node for leg in legs for copy in leg.copies}))
        for leg in legs:
            leg.begin()
        try:
            multiplexer.listen(lambda: not [leg for leg in legs if not leg.follow.is_over()], within_s)
        finally:
            services.listener.done()
        for leg in legs:
            leg.follow.give_up(UNCONFIRMED if mode.end else "no answer")
    return [tuple(outcome for leg in visit for outcome in leg.copies.outcomes()) for visit in visits]


def _claims(job: LeasedJob) -> dict[str, list[CopyRecord]]:
    """The copies of each claim, by its label. Which incarnation its node's folder had is known to its owner only."""
    claims: dict[str, list[CopyRecord]] = {}
    for rank, copy in enumerate(job.copies):
        intent = Intent(node=copy.node, rank=rank, boot_id=copy.boot_id, incarnation="")
        record = CopyRecord(attempt=1, claim=copy.lease.attempt, intent=intent, outcome=None)
        claims.setdefault(_label(job, copy), []).append(record)
    return claims


def _label(job: LeasedJob, copy: LeasedCopy) -> str:
    return f"{job.key}.{copy.lease.attempt}"


# A look at a job.


def look_at(services: Services, job: LeasedJob) -> tuple[CopyStatus, ...]:
    """How the job's copies stand, in their order."""
    asked: dict[NodeName, set[str]] = {}
    for copy in job.copies:
        asked.setdefault(copy.node, set()).add(_label(job, copy))
    found = {(node, one.job): one for node, one in ask_status(replace(services, owner=job.uid), asked)}
    return tuple(_status(copy.node, found.get((copy.node, _label(job, copy)))) for copy in job.copies)


def _status(node: NodeName, told: Status | None) -> CopyStatus:
    if told is None:
        return CopyStatus(node=node)
    cpu_s = None if told.user_s is None or told.system_s is None else told.user_s + told.system_s
    return CopyStatus(
        node=node,
        state=told.state,
        pid=told.pid,
        processes=told.processes,
        seconds=told.seconds,
        cpu_s=cpu_s,
        mem_bytes=told.mem_bytes,
    )


def kept_specs(services: Services, jobs: Sequence[LeasedJob]) -> tuple[KeptSpec | None, ...]:
    """What each job was started with; None if it cannot be read."""
    mode = FollowMode(streams=("spec",), to_the_end=False, void=False, persist=False)
    read = [_Text() for _ in jobs]
    firsts = [replace(job, copies=job.copies[:1]) for job in jobs]
    visit_leased(services, firsts, mode, read, 2 * services.answer_within_s)
    return tuple(kept_spec(bytes(one.text)) for one in read)


class _Text(NullListener):
    """Keeps a stream of one copy."""

    def __init__(self) -> None:
        self.text = bytearray()

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        if len(self.text) <= _MOST_SPEC_BYTES:
            self.text += piece
