"""Asks the nodes round by round, and makes a `Round` of each sweep's answers."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.known_names import asking_for_owners, known_names
from clbalance.cli.node_settings import me
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import StoreError
from clbalance.model import Measured, NodeName, Snapshot, Unknown
from clbalance.model.job_record import JobRecord
from clbalance.policy.heat import NodeGroup
from clbalance.policy.history import TimeCell
from clbalance.render.names import KnownNames
from clbalance.render.top.nodes import groupings_of
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow, load_per_cpu
from clbalance.wiring.node_rows import node_rows

_LEAST_ANSWER_S = 1.0
_LEAST_OF_ROUND = 0.4
_MOST_ENDED = 50
_ENDED_SHOWN = timedelta(hours=1)
_ROUNDS_KEPT = 12
"""Of which the load of each node is drawn."""


def least_answer_s(every_s: float) -> float:
    """How long a node that usually answers at once has to answer again: one that freezes must not hold up a round."""
    return min(_LEAST_ANSWER_S, _LEAST_OF_ROUND * every_s)


class Rounds:
    """One round after the other. It remembers what later rounds need: names of users, and the loads before."""

    def __init__(
        self,
        cluster: ClusterContext,
        usual: Services,
        groups: Sequence[NodeGroup],
        logins: Callable[[], int] = lambda: 0,
    ) -> None:
        """`logins`: how many sessions are held between the rounds."""
        self._cluster = cluster
        self._services = asking_for_owners(usual)
        self._nodes = cluster.candidates.nodes
        self._logins = logins
        self._groupings = groupings_of(self._nodes, cluster.labels, groups)
        self._recent: dict[NodeName, deque[TimeCell]] = {node: deque(maxlen=_ROUNDS_KEPT) for node in self._nodes}
        self._users_there: dict[NodeName, Mapping[int, str]] = {}
        self._asked: set[tuple[NodeName, int]] = set()
        self._count = 0

    def next(self, draft: Callable[[Round], None] | None = None) -> Round:
        """Ask all nodes. `draft` gets the round so far, if some of them are late."""
        self._count += 1

        def show(snapshot: Snapshot) -> None:
            assert draft is not None
            draft(self._round(snapshot, ask_nodes=False))

        late = None if draft is None else show
        # Rates need two looks. A person sees the first at once, and the next round is the second.
        snapshot = take_snapshot(self._services, self._nodes, draft=late, look_twice=draft is None and self._count == 1)
        found = self._round(snapshot, ask_nodes=True)
        for row in found.rows:
            self._recent[row.node].append(_cell(row))
        return replace(found, recent=self._recent_cells())

    def _round(self, snapshot: Snapshot, *, ask_nodes: bool) -> Round:
        jobs, ended = self._jobs(snapshot.taken_at)
        return Round(
            number=self._count,
            taken_at=snapshot.taken_at.astimezone(),
            rows=tuple(node_rows(snapshot, self._cluster.policy, self._cluster.default_cpus)),
            jobs=jobs,
            ended=ended,
            user=me(),
            uid=os.getuid(),
            names=self._names(snapshot, ask_nodes=ask_nodes),
            groupings=self._groupings,
            recent=self._recent_cells(),
            logins=self._logins(),
        )

    def _recent_cells(self) -> Mapping[NodeName, tuple[TimeCell, ...]]:
        return {node: tuple(cells) for node, cells in self._recent.items()}

    def _jobs(self, now: datetime) -> tuple[tuple[JobRecord, ...], tuple[JobRecord, ...]]:
        """Those that are not over, and those that ended a short while ago."""
        journal = self._services.journal
        try:
            return journal.records(), ended_lately(journal.records(over=True), now)
        except StoreError as error:
            self._services.listener.store_failed(error.message)
            return (), ()

    def _names(self, snapshot: Snapshot, *, ask_nodes: bool) -> KnownNames:
        """Nodes are asked for names once for each user that this host does not know: it costs a login."""
        from clbalance.engine.user_names import users_on

        seen = {
            (one.node, uid) for one in snapshot.answers if isinstance(one, Measured) for uid in users_on(one)
        } - self._asked
        names = known_names(self._services, snapshot, ask_nodes=ask_nodes and bool(seen))
        if ask_nodes:
            self._asked |= seen
            for node, users in names.users_there.items():
                self._users_there[node] = {**self._users_there.get(node, {}), **users}
        return replace(names, users_there=dict(self._users_there))


def ended_lately(jobs: Iterable[JobRecord], now: datetime) -> tuple[JobRecord, ...]:
    """Those that ended a short while ago, the last one first. A job that ran for long may have an old number."""
    ended = [(job.ended_at, job) for job in jobs if job.ended_at is not None and now - job.ended_at < _ENDED_SHOWN]
    return tuple(job for _, job in sorted(ended, key=itemgetter(0), reverse=True)[:_MOST_ENDED])


def _cell(row: NodeRow) -> TimeCell:
    if not isinstance(row.answer, Measured):
        return TimeCell(is_silent=True)
    load = load_per_cpu(row.answer)
    return TimeCell(value=None if isinstance(load, Unknown) else load)
