"""Look after jobs that were started before, by whomever: ask their nodes what became of them, follow or end them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clbalance.engine.agents import Agents
from clbalance.engine.copies import Copies, Copy
from clbalance.engine.follow import Follow
from clbalance.engine.interest import Interest
from clbalance.engine.recorded import Recorded
from clbalance.engine.run import conclude
from clbalance.engine.switchboard import Switchboard
from clbalance.engine.world import World
from clbalance.errors import ExitCode, StoreError
from clbalance.job import CopyRecord, JobRecord, JobSpec, JobState, Outcome
from clbalance.model import NodeName
from clbalance.policy.settling import current_copies, half_started, unsettled, was_abandoned
from clbalance.ports import RunListener

ABANDONED = "the process that had it in hand died before it was started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One job, what we want of it, and who is told."""

    record: JobRecord
    spec: JobSpec
    interest: Interest
    listener: RunListener
    ended_too: bool = False
    """Also visit copies that have ended, for what they printed."""
    nodes: frozenset[NodeName] | None = None
    """Only these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """The job as it stands now, and all its copies' ends, so far as they are known; `Lost` where a node is silent."""

    record: JobRecord
    outcomes: tuple[Outcome, ...]


def revisit(world: World, visits: Sequence[Visit], within_s: float | None = None) -> tuple[Visited, ...]:
    """Visit all of them at once, over one session per node; what nobody has in hand is settled and written down."""
    with world.transport.sessions() as sessions:
        board = Switchboard(Agents(sessions, world))
        tours = [_Tour(world, board, _as_left(world, visit)) for visit in visits]
        for tour in tours:
            tour.begin()
        board.listen(lambda: not [tour for tour in tours if not tour.is_over()], within_s)
    return tuple(tour.result() for tour in tours)


def _as_left(world: World, visit: Visit) -> Visit:
    """What a dead controller wrote last may be newer than the record by which it was found dead: that is read again."""
    if visit.record.controlled:
        return visit
    record = world.journal.record(visit.record.id) or visit.record
    return replace(visit, record=record, spec=replace(visit.spec, attempt=record.attempt, claim=record.claim))


class _Tour:
    """One visit."""

    def __init__(self, world: World, board: Switchboard, visit: Visit) -> None:
        self._world = world
        self._visit = visit
        self._known = current_copies(visit.record, world.journal.copies(visit.record.id))
        asked = self._known if visit.ended_too else unsettled(visit.record, self._known)
        if visit.nodes is not None:
            asked = tuple(copy for copy in asked if copy.intent.node in visit.nodes)
        label = f"{visit.record.key}.{asked[0].claim}" if asked else ""
        self._copies = Copies(label, map(Copy.of, asked))
        self._board = board
        self._line = board.line(label)
        interest = visit.interest
        if asked and (why := half_started(visit.record, self._known)):
            interest = replace(interest, end=interest.end or why)
        self._follow = Follow(
            self._line, self._copies, world, self._listener(asked), interest, limit_s=visit.spec.time_limit_s
        )

    def begin(self) -> None:
        """Call the nodes."""
        if len(self._copies):
            self._board.connect(self._line, self._follow.hear)
            self._follow.call_all()

    def is_over(self) -> bool:
        return self._follow.is_over()

    def result(self) -> Visited:
        """What is known now, written down where nobody else has the job in hand."""
        job, journal = self._visit.record.id, self._world.journal
        if not self._visit.record.controlled and not self._visit.record.state.is_over:
            self._settle()
        ended = {one.intent.rank: one.outcome for one in self._known if one.outcome is not None}
        ended |= {outcome.rank: outcome for outcome in self._copies.outcomes()}
        outcomes = tuple(ended[rank] for rank in sorted(ended))
        return Visited(record=journal.record(job) or self._visit.record, outcomes=outcomes)

    def _settle(self) -> None:
        record = self._visit.record
        if was_abandoned(record, self._known):
            try:
                now, code = self._world.clock.now(), ExitCode.NOT_RUN_TO_ITS_END
                self._world.journal.conclude(record.id, now, state=JobState.CANCELLED, reason=ABANDONED, rc=code)
            except StoreError as error:
                self._world.listener.forgot(error.message)
            return
        copies = current_copies(record, self._world.journal.copies(record.id))
        ends = [copy.outcome for copy in copies if copy.outcome is not None]
        if len(ends) == len(copies):
            conclude(self._world, record.id, tuple(ends))

    def _listener(self, asked: Sequence[CopyRecord]) -> RunListener:
        """Ends are written down only where nobody else does it."""
        if self._visit.record.controlled or self._visit.record.state.is_over:
            return self._visit.listener
        return Recorded(self._world, self._visit.spec, self._visit.listener, copies=len(asked))
