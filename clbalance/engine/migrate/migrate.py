"""Carry out planned migrations: each by the controller of the job, or by this process if there is none.

Input: migrations in order. Result: the end of each. Several are under way at once, over one session per node. Long
steps (a checkpoint, a grace period) run side by side; short steps (a reservation, a start) run one at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from clbalance.engine.agent.copies import SUPERVISED
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.jobs.reconciled import by_login
from clbalance.engine.jobs.submitted import user_of
from clbalance.engine.migrate.own import begin_local
from clbalance.engine.migrate.requested import (
    MigrationOrder,
    MigrationResult,
    MigrationTask,
    NotMigrated,
    Undetermined,
    begin_delegated,
)
from clbalance.engine.run.values import RunContext
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import ClbalanceError, Interrupted
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord, JobState, MigrationRequest
from clbalance.policy.jobs.record import is_migratable
from clbalance.ports import InputOf

_AT_ONCE = 8
_LOOK_EVERY_S = 0.25
_FINISH_WITHIN_S = 1.7  # when stopped, we exit after this time


def migrate_jobs(
    services: Services,
    moves: Sequence[MigrationOrder],
    query_of: Callable[[Submitted], PlacementQuery],
    input_of: InputOf,
    on_result: Callable[[MigrationOrder, MigrationResult], None] = lambda _move, _end: None,
) -> tuple[MigrationResult, ...]:
    """Migrate jobs; return the end of each. `on_result` is called at once for each end.

    At every moment a job runs or waits in exactly one place. When stopped, this begins no further migration, aborts
    those that have not reached their job, and continues the rest as long as it may. Jobs of several login users are
    migrated one user after the other.
    """
    ends: dict[int, MigrationResult] = {}
    for theirs, places in by_login(services, [user_of(services, move.job) for move in moves]):
        with theirs.transport.sessions() as sessions:
            multiplexer = AgentMultiplexer(Agents(sessions, theirs))
            batch = _MigrationBatch(theirs, multiplexer, [moves[at] for at in places], query_of, input_of, on_result)
            with batch.ended_in_order():
                batch.multiplexer.listen(batch.step, look_every_s=_LOOK_EVERY_S)
        ends |= {at: batch.ends[place] for place, at in enumerate(places)}
    return tuple(ends[at] for at in range(len(moves)))


class _MigrationBatch:
    """All migrations of one call, by their indices in the list."""

    def __init__(
        self,
        services: Services,
        multiplexer: AgentMultiplexer,
        moves: Sequence[MigrationOrder],
        query_of: Callable[[Submitted], PlacementQuery],
        input_of: InputOf,
        on_result: Callable[[MigrationOrder, MigrationResult], None],
    ) -> None:
        self.multiplexer = multiplexer
        self.ends: dict[int, MigrationResult] = {}
        self._services = services
        self._orders = moves
        self._query_of = query_of
        self._input_of = input_of
        self._on_result = on_result
        self._under_way: dict[int, MigrationTask] = {}
        self._no_more = False

    def step(self) -> bool:
        """Continue each migration, and begin at most one more. Return whether all are done.

        At most one: a reservation may take as long as a node's answer, and the others must be kept alive meanwhile.
        """
        for at in tuple(self._under_way):
            self._follow_up(at)
        waiting = (at for at in range(len(self._orders)) if at not in self.ends and at not in self._under_way)
        ready = next((at for at in waiting if self._may_begin(at)), None)
        if ready is not None and not self._no_more:
            self._begin(ready)
        return not self._under_way if self._no_more else len(self.ends) == len(self._orders)

    @contextmanager
    def ended_in_order(self) -> Iterator[None]:
        """However we end, release every job that we control."""
        try:
            yield
        except Interrupted:
            self._no_more = True
            for migration in self._under_way.values():
                migration.cancel_pending()
            self.multiplexer.listen(self.step, _FINISH_WITHIN_S, _LOOK_EVERY_S)
            raise
        finally:
            while self._under_way:
                at, migration = self._under_way.popitem()
                self._note(at, _detach(migration))

    def _may_begin(self, at: int) -> bool:
        """At most `_AT_ONCE` at once; none while an earlier one must still leave the target, or is of the same job."""
        before = (other for other in range(at) if other not in self.ends)
        move = self._orders[at]
        blocked = any(self._orders[other].src == move.dst or self._orders[other].job == move.job for other in before)
        return not blocked and len(self._under_way) < _AT_ONCE

    def _begin(self, at: int) -> None:
        try:
            begun = self._begin_migration(self._orders[at])
        except ClbalanceError as error:
            begun = NotMigrated(reason=error.message)
        if isinstance(begun, NotMigrated):
            self._note(at, begun)
        else:
            self._under_way[at] = begun

    def _begin_migration(self, move: MigrationOrder) -> MigrationTask | NotMigrated:
        journal = self._services.journal
        record, submitted = journal.record(move.job), journal.submitted(move.job)
        if record is None or submitted is None:
            return NotMigrated(reason="it is not remembered")
        if record.state is not JobState.RUNNING or record.nodes != (move.src,):
            where = f" on {record.nodes[0]}" if len(record.nodes) == 1 else ""
            return NotMigrated(reason=f"it is {record.state}{where} by now")
        if not is_migratable(submitted.job, submitted.request, submitted.restart_policy):
            return NotMigrated(reason="it is not marked: `run --requeue` or `run --checkpoint`")
        asked_at_s = self._services.clock.now().timestamp()
        order = MigrationRequest(attempt=record.attempt, dst=move.dst, reason=move.reason, requested_at_s=asked_at_s)
        if record.has_controller:
            return begin_delegated(self._services, move, order, submitted.restart_policy)
        return begin_local(self._services, self.multiplexer, record, order, self._context_of(record, submitted))

    def _context_of(self, record: JobRecord, submitted: Submitted) -> RunContext:
        return RunContext(
            services=self._services,
            query=self._query_of(submitted),
            stdin=self._input_of(self._services.journal, record.id, submitted),
            listener=NullListener(),
            mode=SUPERVISED,
            restart_policy=submitted.restart_policy,
        )

    def _follow_up(self, at: int) -> None:
        migration = self._under_way[at]
        try:
            end = migration.poll()
        except ClbalanceError as error:  # an error of one does not stop the others
            _detach(migration)
            end = Undetermined(reason=error.message)
        if end is not None:
            del self._under_way[at]
            self._note(at, end)

    def _note(self, at: int, end: MigrationResult) -> None:
        self.ends[at] = end
        self._on_result(self._orders[at], end)


def _detach(migration: MigrationTask) -> MigrationResult:
    """Give up control of the job. If that cannot be recorded: once we have gone, it has no controller anyway."""
    try:
        return migration.detach()
    except ClbalanceError as error:
        return Undetermined(reason=error.message)
