"""Fetch the output of ended attempts from the nodes that keep it (docs/design/job_output.md)."""

from collections.abc import Sequence

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.job_messages import label_of
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.jobs.reconcile import Leg
from clbalance.engine.jobs.reconciled import by_login
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job import JobSpec
from clbalance.model.job_record import CopyRecord, Outcome
from clbalance.ports import RunListener


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """The copies of one claim, which of their streams are fetched, and the listener that gets them."""

    spec: JobSpec
    copies: tuple[CopyRecord, ...]
    streams: tuple[str, ...]
    listener: RunListener
    remove: bool = False
    """Remove the job's files from the node after that."""
    keep_output: bool = True
    """With `remove`: only those of its work folder."""


def collect(services: Services, fetches: Sequence[Fetch], within_s: float) -> tuple[tuple[Outcome, ...], ...]:
    """Fetch the output, then return the outcomes of the copies, in the order of `fetches`.

    A copy that did not answer has no outcome. All nodes are asked at once. Nothing is recorded.
    """
    ends: dict[int, tuple[Outcome, ...]] = {}
    for theirs, places in by_login(services, [one.spec.user for one in fetches]):
        ends |= zip(places, _as_one_user(theirs, [fetches[place] for place in places], within_s), strict=True)
    return tuple(ends[place] for place in range(len(fetches)))


def _as_one_user(services: Services, fetches: Sequence[Fetch], within_s: float) -> list[tuple[Outcome, ...]]:
    with services.transport.sessions() as sessions:
        multiplexer = AgentMultiplexer(Agents(sessions, services))
        legs = [
            Leg(
                services,
                multiplexer,
                label_of(one.spec),
                one.copies,
                one.listener,
                FollowMode(streams=one.streams, void=False, retire=one.remove, retire_work_only=one.keep_output),
                limit_s=one.spec.time_limit_s,
            )
            for one in fetches
        ]
        for leg in legs:
            leg.begin()
        multiplexer.listen(lambda: not [leg for leg in legs if not leg.follow.is_over()], within_s)
        if any(one.remove for one in fetches):
            multiplexer.finish(within_s)
    return [leg.copies.outcomes() for leg in legs]
