"""Wait until nothing runs on drained nodes any more, and migrate jobs away from them."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import StoreError
from clbalance.model import NodeName
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.drain_progress import (
    DrainProgress,
    Eviction,
    EvictionCandidate,
    drain_progress,
    evictions,
    is_over,
)
from clbalance.policy.jobs.record import is_migratable
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15.0
_GROWTH: Final = 1.5


def wait_until_drained(
    services: Services,
    nodes: Sequence[NodeName],
    within_s: float | None,
    tell: Callable[[tuple[DrainProgress, ...]], None],
    enough: Callable[[tuple[DrainProgress, ...]], bool] = is_over,
) -> tuple[DrainProgress, ...]:
    """The progress when `enough` says so, or after `within_s` seconds (None: no limit).

    `tell` gets the progress after every sweep, and may take its time.
    """
    begun_at = services.clock.monotonic()
    pause_s = _FIRST_PAUSE_S
    while True:
        snapshot = take_snapshot(services, nodes)
        progress = tuple(drain_progress(answer) for answer in snapshot.answers)
        tell(progress)
        left_s = _LONGEST_PAUSE_S if within_s is None else begun_at + within_s - services.clock.monotonic()
        if enough(progress) or left_s <= 0:
            return progress
        services.clock.pause(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)


# Migrate our own migratable jobs away from drained nodes.

Migrate: TypeAlias = Callable[[Services, Sequence[Eviction]], None]
"""Migrates the jobs; returns when each is migrated or has failed to."""

_LOOK_AGAIN_S: Final = 60.0
"""The pause after a sweep of all candidates that found no room for any job."""


class DrainMigrator:
    """Requests one migration of each job, once the policy that it was submitted with finds room elsewhere."""

    def __init__(
        self,
        services: Services,
        nodes: Collection[NodeName],
        policy_of: Callable[[Submitted], Policy],
        rng: Rng,
        move: Migrate,
    ) -> None:
        self._services = services
        self._policy_of = policy_of
        self._rng = rng
        self._nodes = frozenset(nodes)
        self._move = move
        self._requested: set[int] = set()
        self._not_before_s = services.clock.monotonic()

    def migrate_what_fits(self, before: Callable[[], None] = lambda: None) -> None:
        """Migrate the jobs that fit elsewhere now. If there are any, `before` is called first."""
        if self._services.clock.monotonic() < self._not_before_s:
            return
        candidates = [candidate for record in self._records() if (candidate := self._candidate(record)) is not None]
        if not candidates:
            return
        targets = tuple(dict.fromkeys(node for candidate in candidates for node in candidate.submitted.candidates))
        snapshot = take_snapshot(self._services, targets)
        found = evictions(snapshot, candidates, self._policy_of, snapshot.taken_at, self._rng)
        if not found:
            self._not_before_s = self._services.clock.monotonic() + _LOOK_AGAIN_S
            return
        self._requested |= {one.job for one in found}
        before()
        self._move(self._services, found)

    def _records(self) -> Sequence[JobRecord]:
        """All records; empty if they cannot be read now: the next call tries again."""
        try:
            return self._services.journal.records()
        except StoreError as error:
            self._services.listener.store_failed(error.message)
            return ()

    def _candidate(self, record: JobRecord) -> EvictionCandidate | None:
        if (
            record.state is not JobState.RUNNING
            or record.id in self._requested
            or record.engine
            or not self._nodes.intersection(record.nodes)
        ):
            return None
        submitted = self._submitted(record.id)
        if submitted is None or not is_migratable(submitted.job, submitted.request, submitted.restart_policy):
            return None
        return EvictionCandidate(job=record.id, node=record.nodes[0], submitted=submitted)

    def _submitted(self, job: int) -> Submitted | None:
        """None also if another version of the program wrote it."""
        try:
            return self._services.journal.submitted(job)
        except StoreError:
            return None
