"""Asks batch systems about jobs that they run, and follows, signals, ends and settles them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from clbalance.engine.batch.launch import attempt_name, plan_of, refused_outcome
from clbalance.engine.jobs.conclude import cancel_unstarted, finish_job
from clbalance.engine.jobs.reconciled import Reconciled, ReconcileRequest
from clbalance.engine.services import Services
from clbalance.errors import EngineError
from clbalance.model import Cause, NodeName
from clbalance.model.engine import EngineJob, Refused
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import Cancelled, JobState, Lost, NotStarted, Outcome
from clbalance.policy.jobs.record import current_copies
from clbalance.ports.engine import Engine

ABANDONED = "its controller died before it was submitted"
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
_ANSWER_AGE_S = 2.0
"""How often a batch system is asked while a job is followed. Its controller serves a whole cluster."""
_TELL_AFTER_S = 1.0
"""Most jobs wait for less: that is not worth a line."""
_AGAIN_AFTER_S = 5.0
"""Once it has not answered."""


def visit(
    services: Services,
    requests: Sequence[ReconcileRequest],
    within_s: float | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> tuple[Reconciled, ...]:
    """As `reconcile`, for jobs of batch systems."""
    visits = [EngineVisit(services, wanted) for wanted in requests]
    for name in dict.fromkeys(one.record.engine for one in visits):
        follow(services, name, [one for one in visits if one.record.engine == name], within_s, unless)
    return tuple(one.result() for one in visits)


def follow(
    services: Services,
    name: str,
    visits: Sequence["EngineVisit"],
    within_s: float | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """Go on until each of these visits, all to one batch system, is over."""
    engine, clock = services.engine(name), services.clock
    until = None if within_s is None else clock.monotonic() + within_s
    pause_s, max_age_s = _SHORTEST_PAUSE_S, 0.0
    while left := [one for one in visits if not one.is_over]:
        is_silent = _look(engine, left, max_age_s)
        left_s = math.inf if until is None else until - clock.monotonic()
        if all(one.is_over for one in left) or unless() or left_s < 0:
            break
        clock.pause(min(left_s, _AGAIN_AFTER_S if is_silent else pause_s))
        pause_s = min(_LONGEST_PAUSE_S, 1.2 * pause_s)
        max_age_s = _ANSWER_AGE_S


def _look(engine: Engine, visits: Sequence["EngineVisit"], max_age_s: float) -> bool:
    """One look at all of them, with one question. Whether there was no answer."""
    try:
        for one in visits:
            one.give_orders(engine)
        found = engine.look_up([one.name for one in visits], max_age_s=max_age_s)
        for one in visits:
            one.take(engine, found.get(one.name))
    except EngineError as error:
        for one in visits:
            one.silent(error.message)
        return True
    return False


class EngineVisit:
    """One job of a batch system, as far as `wanted.mode` follows it. What becomes of it is recorded by its controller.

    If it has none, that is this process. `controlled`: so it is although the job has one, which we are.
    """

    def __init__(self, services: Services, wanted: ReconcileRequest, *, controlled: bool = False) -> None:
        self._services = services
        self._mode = wanted.mode
        self._listener = wanted.listener
        self.record = wanted.record if controlled else services.journal.record(wanted.record.id) or wanted.record
        self._spec = replace(wanted.spec, attempt=self.record.attempt, claim=self.record.claim)
        self._is_ours = (controlled or not self.record.has_controller) and not self.record.state.is_over
        self.name = attempt_name(self.record)
        copies = current_copies(self.record, services.journal.copies(self.record.id))
        ended = tuple(copy.outcome for copy in copies if copy.outcome is not None)
        self._was_launched = bool(copies)
        self._number = copies[0].engine_id if copies else ""
        self._known = ended if len(ended) == len(copies) else ()
        """The recorded outcomes, if all are."""
        self._nobody = NodeName(self.record.engine)
        nodes = tuple(copy.intent.node for copy in copies)
        self.nodes: tuple[NodeName, ...] = () if nodes == (self._nobody,) else nodes
        """By rank; empty before it has any."""
        self._wanted_nodes = wanted.nodes
        self._offsets: dict[tuple[int, str], int] = {}
        self._reason = self._told = ""
        self._began_at = services.clock.monotonic()
        self._is_ordered = self._is_placed = self.is_left = False
        self.outcomes: tuple[Outcome, ...] = self._known
        is_read = bool(self._mode.streams) and wanted.ended_too
        self.is_over = not controlled and (not self._was_launched or (bool(self._known) and not is_read))

    # -- the word of its controller

    def launched(self) -> None:
        """It may be submitted by now; and somebody may have asked meanwhile to cancel it."""
        now = self._services.journal.record(self.record.id)
        self.record = replace(self.record, cancel_requested="" if now is None else now.cancel_requested)
        copies = self._services.journal.copies(self.record.id)
        copies = tuple(copy for copy in copies if copy.claim == self.record.claim)
        self._was_launched = bool(copies)
        self._number = copies[0].engine_id if copies else ""
        self.is_over = not self._was_launched

    def refused(self, refused: Refused) -> None:
        """Its batch system does not have it."""
        self.outcomes = (refused_outcome(self.record.engine, refused),)
        self.is_over = True

    def leave(self) -> None:
        """It is not followed."""
        self.is_over = self.is_left = True

    def end(self, reason: str) -> None:
        """It is to be ended, for that reason."""
        self._mode = replace(self._mode, end=reason, streams=())
        self._is_ordered = False

    # -- one look

    def give_orders(self, engine: Engine) -> None:
        """Cancel or signal it, once."""
        if self._is_ordered or self._known:
            return
        if self._mode.end or (self._is_ours and self.record.cancel_requested):
            engine.cancel(self.name)
        if self._mode.signal is not None:
            engine.signal(self.name, self._mode.signal)
        self._is_ordered = True

    def take(self, engine: Engine, found: EngineJob | None) -> None:
        """What the batch system says of it; None: it does not have it."""
        if self._known:
            self._show(engine, len(self._known))
            self.is_over = True
        elif found is None:
            self._settle(engine)
        elif found.is_over:
            self._place(found)
            self._show(engine, len(found.outcomes))
            self._end(tuple(map(self._in_our_words, found.outcomes)))
        elif found.is_forgotten:
            self._place(found)
            self._show(engine, len(found.nodes))
            self._lose(f"it has begun, and {engine.name} has forgotten how it ended")
            self.is_over = True
        elif found.state is JobState.PENDING:
            self._note(found)
            self._wait(found.reason)
        else:
            self._place(found)
            self._show(engine, max(1, len(found.nodes)))
        if not self._mode.to_the_end:
            self.is_over = True

    def silent(self, reason: str) -> None:
        """The batch system does not answer. Nothing is known of the job, and nothing is recorded."""
        self._lose(reason)
        if self._mode.persist and self._mode.to_the_end:
            self._wait(reason)  # and is not recorded
        else:
            self.is_over = True

    def _place(self, found: EngineJob) -> None:
        """It has begun, on these nodes."""
        self._note(found)
        if found.nodes and not self._is_placed:
            self._is_placed = True
            self._listener.placed(self._spec, plan_of(self._services, found.nodes))
            for node in found.nodes:
                self._listener.started(node, ())
            if self._is_ours and found.began_at_s is not None:
                with self._services.without_store():
                    self._services.journal.started(self.record.id, datetime.fromtimestamp(found.began_at_s, UTC))

    def _note(self, found: EngineJob) -> None:
        is_new = found.id != self._number or found.nodes not in {(), self.nodes}
        if self._is_ours and is_new:
            self._number, self.nodes = found.id, found.nodes or self.nodes
            with self._services.without_store():
                self._services.journal.located(self.record.id, self.record.claim, engine_id=found.id, nodes=found.nodes)
        self.outcomes = ()

    def _wait(self, reason: str) -> None:
        if reason != self._told and self._services.clock.monotonic() - self._began_at > _TELL_AFTER_S:
            self._told = reason
            self._listener.waiting(reason)
        if self._is_ours and reason != self._reason and not self.outcomes:
            self._reason = reason
            with self._services.without_store():
                self._services.journal.set_pending_reason(self.record.id, reason)

    def _show(self, engine: Engine, copies: int) -> None:
        """Pass on what the copies have written since the last look."""
        nodes = self.nodes or (self._nobody,)
        for rank, node in enumerate(nodes[:copies]):
            if self._wanted_nodes is None or node in self._wanted_nodes:
                for stream in self._mode.streams:
                    self._pass_on(engine, rank, node, stream)

    def _pass_on(self, engine: Engine, rank: int, node: NodeName, stream: str) -> None:
        offset = self._offsets.get((rank, stream), 0)
        while piece := engine.output(self.name, rank, stream, offset):
            self._listener.output(node, stream, piece)
            offset += len(piece)
            self._offsets[rank, stream] = offset

    # -- its end

    def _settle(self, engine: Engine) -> None:
        """The batch system does not have it. That proves nothing: it forgets jobs some minutes after their end."""
        if not self._is_ours:
            self._lose(f"{engine.name} does not know it")
            self.is_over = True
        elif engine.withdraw(self.name):
            end = NotStarted(reason=f"{engine.name} does not have it, and it had not begun")
            self._end((Outcome(node=self._nobody, rank=0, end=end, seconds=0.0),))
        else:
            self._lose(f"it may have begun, and {engine.name} does not have it")
            self.is_over = True

    def _lose(self, reason: str) -> None:
        nodes = self.nodes or (self._nobody,)
        lost = Lost(cause=Cause.ENGINE, reason=reason)
        self.outcomes = tuple(Outcome(node=node, rank=rank, end=lost, seconds=0.0) for rank, node in enumerate(nodes))

    def _in_our_words(self, outcome: Outcome) -> Outcome:
        """An end that one of our users has asked for, with that reason."""
        if not isinstance(outcome.end, Cancelled):
            return outcome
        now = self._services.journal.record(self.record.id) or self.record
        asked = self._mode.end or now.cancel_requested
        return replace(outcome, end=Cancelled(reason=asked)) if asked else outcome

    def _end(self, outcomes: tuple[Outcome, ...]) -> None:
        self.outcomes = outcomes
        for outcome in outcomes:
            if self._is_ours:
                with self._services.without_store():
                    self._services.journal.ended(self.record.id, self.record.claim, outcome)
            self._listener.ended(outcome)
        self.is_over = True

    def result(self) -> Reconciled:
        """The job as it stands now, recorded first if that is ours to do."""
        journal, job = self._services.journal, self.record.id
        is_known = bool(self.outcomes) and not any(isinstance(one.end, Lost) for one in self.outcomes)
        if self._is_ours and not self._was_launched:
            cancel_unstarted(self._services, job, ABANDONED)
        elif self._is_ours and is_known:
            # Further attempts are begun only by a living `run` of the job.
            finish_job(self._services, job, self.record.attempt, self.outcomes, restart_policy=RestartPolicy())
        return Reconciled(record=journal.record(job) or self.record, outcomes=self.outcomes, all_ended=is_known)
