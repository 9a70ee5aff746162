"""Dispatch one claim of one job to its chosen nodes: reserve, start, follow; all copies or none.

Input: open sessions, a `JobSpec`, a plan. Result: one `Outcome` per node; the output goes to the listener on the way.
The agents on the nodes do the work (docs/design/agent.md); this only decides the next message.
"""

from collections.abc import Callable, Mapping
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING

from clbalance.engine.agent.admission import Admission
from clbalance.engine.agent.copies import Copies, Copy, FollowMode
from clbalance.engine.agent.early import EarlyAgents
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.feed import InputFeed
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import Peers, label_of
from clbalance.engine.agent.launch import LaunchSequence
from clbalance.engine.agent.sessions import Agents
from clbalance.engine.answers import remember_refusals, remember_working
from clbalance.engine.jobs.cancel import cancel_requested
from clbalance.engine.run.values import DispatchResult
from clbalance.engine.services import Services
from clbalance.errors import Interrupted
from clbalance.model import Measured, NodeName, Plan, Request, Snapshot
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Intent
from clbalance.nodeset import NodeSets, fold
from clbalance.ports import JobInput, LiveInput, RunListener, SessionEvent, Sessions
from clbalance.units import format_size

if TYPE_CHECKING:  # most jobs are never migrated, and few have files that travel
    from clbalance.engine.files.sending import Sending
    from clbalance.engine.run.migration import Migration

_END_WITHIN_S = 1.7  # when stopped, we exit after this time, even if not every node has confirmed its end
_LINGER_S = 1.0  # for agents to clean up after an ended job
_LINGER_STOPPED_S = 0.1
_TOLD_BYTES = 64 << 20  # files that take a moment


class Dispatch:
    """Talks to the nodes of one claim. Call `reserve`, then record the launch (`intents`), then call `run`."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        job: JobSpec,
        plan: Plan,
        request: Request,
        overhear: Callable[[SessionEvent], object] = lambda _: None,
        early: EarlyAgents | None = None,
    ) -> None:
        self._services = services
        self.agents = Agents(sessions, services, overhear, early)
        self.job = job
        self._plan = plan
        self._request = request
        self._node_list = fold(plan.chosen)
        in_order = NodeSets(None).expand(self._node_list)  # so that rank 2 is the third node of the folded set
        self._feed: InputFeed | None = None
        copies = [Copy(node, rank) for rank, node in enumerate(in_order)]
        self._copies = Copies(label_of(job), copies, have_work_folder=job.files is not None)

    def reserve(
        self, snapshot: Snapshot, allocation_limits: Mapping[NodeName, float]
    ) -> tuple[dict[NodeName, str], dict[NodeName, float]]:
        """Ask the nodes for admission. Returns refusals, and the CPUs now allocated on nodes that others filled first.

        `snapshot`: as measured, because the plan's own snapshot already counts this job.
        """
        answers = {answer.node: answer for answer in snapshot.answers if isinstance(answer, Measured)}
        asked = Admission(
            self.agents,
            self._copies,
            request=self._request,
            answers=answers,
            job=self.job,
            hidden_gpus=self._services.hidden_gpus,
            allocation_limits=allocation_limits,
        )
        refusals = asked.admit(self._services.listener, self._services.clock)
        if asked.set_limits and not refusals:
            from clbalance.engine.run.set_limits import count_sets  # few nodes have such limits

            refusals = count_sets(self._services, tuple(asked.set_limits), self.job.key, self._plan.chosen, answers)
            for node in self._plan.chosen if refusals else ():
                self.agents.hang_up(node)
        remember_refusals(self._services, asked.unfit)
        claimed = {copy.node: copy.boot_id for copy in self._copies if copy.boot_id and copy.node not in asked.unfit}
        remember_working(self._services, claimed)
        return refusals, asked.crowded

    def intents(self) -> tuple[Intent, ...]:
        """The launches to record, one for each copy."""
        return tuple(copy.intent for copy in self._copies)

    def run(
        self, stdin: JobInput, listener: RunListener, mode: FollowMode, move: "Migration | None" = None
    ) -> DispatchResult:
        """Start the reserved copies, and follow them as `mode` says; `move` carries out requested migrations.

        When stopped by a signal, it ends the job everywhere first; after SIGHUP it leaves a started job running.
        """
        self._feed = self._feed_from(stdin.live)
        follow = Follow(
            self.agents,
            self._copies,
            self._services,
            listener,
            mode,
            limit_s=self.job.time_limit_s,
            early_end=EarlyEnd(
                self._services.clock,
                partial(cancel_requested, self._services, self.job.id),
                feed=self._feed,
                first_node=self.job.first_node,
            ),
        )
        start = LaunchSequence(
            self.agents,
            self._copies,
            self.job,
            peers=Peers(
                nodes=tuple(copy.node for copy in self._copies), node_list=self._node_list, cpus=self._request.cpus
            ),
            stdin=stdin,
            follow=follow,
            start_within_s=self._services.answer_within_s,
            sending=self._sending(listener),
        )
        try:
            start.order(self._services.listener, self._services.clock)
            self._services.fail_point("ordered")
            start.await_starts(self._services.listener, self._services.clock)
            if move is None:
                follow.to_the_end()
            else:
                move.follow_to_the_end(self.agents, self._copies, follow)
        except (Interrupted, BrokenPipeError) as stop:
            return self._interrupted(follow, _number(stop), mode, move)
        return self._lingered(follow)

    def _sending(self, listener: RunListener) -> "Sending | None":
        """Of the files that travel with the job; None: it has none. The job tells meanwhile why it waits."""
        if self.job.files is None or not self.job.files.sent:
            return None
        from clbalance.engine.files.sending import Sending  # few jobs have files that travel

        size = sum(one.size_bytes for one in self.job.files.sent)
        reason = f"sending its files: {format_size(size)}"
        with self._services.without_store():
            self._services.journal.set_pending_reason(self.job.id, reason)
        if size >= _TOLD_BYTES:
            listener.waiting(reason)
        services = self._services
        return Sending(
            self.job.files,
            services.transfers(services),
            self.agents.wake,
            services.fail_point,
            services.file_listener(),
        )

    def _feed_from(self, source: LiveInput | None) -> InputFeed | None:
        if source is None:
            return None
        (copy,) = self._copies
        return InputFeed(self.agents, copy.node, self._copies.label, source)

    def _lingered(self, follow: Follow) -> DispatchResult:
        """Give agents time to clean up. A signal now ends no job: the job has ended, and its end is recorded."""
        try:
            follow.linger(_LINGER_S)
        except (Interrupted, BrokenPipeError) as stop:
            return DispatchResult(outcomes=self._copies.outcomes(), interrupted=_number(stop))
        silent = frozenset(copy.node for copy in self._copies if copy.may_start_elsewhere)
        return DispatchResult(outcomes=self._copies.outcomes(), may_start_elsewhere=silent)

    def _interrupted(
        self, follow: Follow, number: Signals, mode: FollowMode, move: "Migration | None"
    ) -> DispatchResult:
        can_go_on = self.job.pty is None and (self._feed is None or self._feed.is_over)
        all_started = all(copy.has_started for copy in self._copies)
        if all_started:  # perhaps nothing but output has told so yet
            with self._services.without_store():
                self._services.journal.started(self.job.id, self._services.clock.now())
        if number is Signals.SIGHUP and all_started and can_go_on:
            return DispatchResult(outcomes=self._copies.outcomes(), interrupted=number)
        if not mode.ends_with_us:
            follow.to_the_end(_END_WITHIN_S)
            return DispatchResult(outcomes=self._copies.outcomes(), interrupted=number)
        if move is not None:
            move.abort(f"stopped by {number.name}")  # else the job would continue elsewhere
        follow.stop(f"stopped by {number.name}", _END_WITHIN_S, mute=number is Signals.SIGPIPE)
        follow.linger(_LINGER_STOPPED_S)
        return DispatchResult(outcomes=self._copies.outcomes(), interrupted=number)


def _number(stop: Interrupted | BrokenPipeError) -> Signals:
    return Signals(stop.signum) if isinstance(stop, Interrupted) else Signals.SIGPIPE
