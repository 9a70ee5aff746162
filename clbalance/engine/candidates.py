"""The candidates of one placement: all are asked, or a few first, and more where those will not do."""

from typing import TYPE_CHECKING

from clbalance.engine.services import PlacementQuery, Services
from clbalance.engine.sweep import ask, send_probes
from clbalance.model import NodeName, Request, Snapshot
from clbalance.policy.placement.quorum import enough_for, with_late
from clbalance.policy.shortlist import may_ask_few
from clbalance.ports import Sessions

if TYPE_CHECKING:  # imported where few of many nodes may do
    from clbalance.engine.shortlisting import Shortlisting

_MOST_PROBABLE = 8  # more are not sent the agent before they have answered


class CandidateSweep:
    """The sweep of a placement's candidates."""

    def __init__(self, services: Services, sessions: Sessions, query: PlacementQuery, *, keep_open: int = 0) -> None:
        self._services = services
        self._sessions = sessions
        self._query = query
        self._keep_open = 0 if sessions.through_gateways else keep_open
        self._shortlisting = _shortlisting(services, sessions, query)
        few = self._shortlisting
        unasked = None if few is None else few.unasked_at_first()
        self.asked = ask(
            services,
            sessions,
            query.candidates,
            keep_open=self._keep_open,
            unasked=unasked,
            first=() if few is None else few.best,
            earlier=None if few is None else few.earlier,
        )

    @property
    def probably_chosen(self) -> tuple[NodeName, ...]:
        """The nodes that will probably be chosen, if that is known while they are being asked; else none.

        Nor are there any where gateways ask: nothing can be sent behind the probe.
        """
        if self._sessions.through_gateways:
            return ()
        everyone = self._query.candidates
        best = everyone if self._shortlisting is None else self._shortlisting.best
        is_known = self._shortlisting is not None or self._query.request.pick == len(everyone)
        return best if is_known and len(best) <= _MOST_PROBABLE else ()

    def look(self, request: Request, before: Snapshot | None = None) -> Snapshot:
        """The answers, once enough nodes fit `request`, or no other is left. `before`: what was found earlier."""
        services, policy, few = self._services, self._query.policy, self._shortlisting
        is_patient = False
        while True:
            are_few = not (self.asked.is_of_all or is_patient)
            self.asked.listen(enough_for(request, policy, services.clock.now(), are_few=are_few))
            snapshot = self.asked.snapshot()
            snapshot = snapshot if before is None else with_late(before, snapshot)
            snapshot = self._foreseen(snapshot)
            if few is None:
                return snapshot
            more = few.next(snapshot, request)
            is_patient = not more and are_few and few.is_late_one_better(snapshot, request)
            if more:
                is_last = self._keep_open == 0 and not self._sessions.keeps
                self.asked.add(send_probes(services, self._sessions, more, last=is_last))
            elif not is_patient:
                return snapshot

    def _foreseen(self, snapshot: Snapshot) -> Snapshot:
        """With what is expected of the nodes, if the policy asks for that."""
        if not self._query.policy.weights.forecast:
            return snapshot
        from clbalance.engine.foresight import as_policy_foresees  # most do not (docs/design/startup.md)

        return as_policy_foresees(self._services, snapshot, self._query.policy)


def _shortlisting(services: Services, sessions: Sessions, query: PlacementQuery) -> "Shortlisting | None":
    within_s = services.shortlist_age_s
    if within_s is None or not may_ask_few(query.request, query.policy, len(query.candidates)):
        return None
    from clbalance.engine.shortlisting import Shortlisting  # most groups are small: docs/design/startup.md

    return Shortlisting(services, query, within_s, sessions.connected())
