"""Visit running jobs of any user by their leases: root's agents become their owner (docs/design/administrator.md).

Such a job is not in our journal. So nothing is recorded here, and no claim is declared void.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.jobs.reconcile import Leg
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import CopyRecord, Intent, Outcome
from clbalance.policy.jobs.leased import LeasedJob
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
            leg.follow.give_up()
    return [tuple(outcome for leg in visit for outcome in leg.copies.outcomes()) for visit in visits]


def _claims(job: LeasedJob) -> dict[str, list[CopyRecord]]:
    """The copies of each claim, by its label. Which incarnation its node's folder had is known to its owner only."""
    claims: dict[str, list[CopyRecord]] = {}
    for rank, copy in enumerate(job.copies):
        intent = Intent(node=copy.node, rank=rank, boot_id=copy.boot_id, incarnation="")
        record = CopyRecord(attempt=1, claim=copy.lease.attempt, intent=intent, outcome=None)
        claims.setdefault(f"{job.key}.{copy.lease.attempt}", []).append(record)
    return claims


# What a job was started with, as its folder on the node keeps it. Its owner may have written anything there.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSpec:
    """What a job was started with, by its owner's word."""

    command: tuple[str, ...] = ()
    """The command, or the script's name and its arguments."""
    chdir: str = ""
    time_limit_s: float | None = None
    number: int | None = None
    """Its number on `submit_host`."""
    submit_host: str = ""


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


def kept_spec(text: bytes) -> KeptSpec | None:
    """The spec in the text of its file; None if it is not one."""
    try:
        spec = json.loads(text)
        env, script = spec["env"], spec.get("script") or {}
        command = spec.get("argv") or [script["name"], *script.get("args", [])]
        limit_s, number = spec.get("time_limit_s"), env.get("CLBALANCE_JOB_ID", "")
        return KeptSpec(
            command=tuple(map(str, command)),
            chdir=str(spec.get("chdir") or ""),
            time_limit_s=float(limit_s) if isinstance(limit_s, int | float) else None,
            number=int(number) if isinstance(number, str) and number.isdecimal() and len(number) <= 18 else None,
            submit_host=str(env.get("CLBALANCE_SUBMIT_HOST", "")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
